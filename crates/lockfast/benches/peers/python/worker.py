"""What the peers in Python have in common: the worker's side of the dialogue, as in `worker.rs`."""

import ctypes
import sys
import time

clock = time.monotonic_ns


def say(text):
    print(text, flush=True)


class Worker:
    def __init__(self, acquire, release, repeat=None):
        self.acquire = acquire
        self.release = release
        self.repeat = repeat or self.acquire_and_release

    def rounds(self, count):
        # The first ones find cold caches.
        self.repeat(count // 10)
        begin = clock()
        self.repeat(count)
        return clock() - begin

    def acquire_and_release(self, count):
        acquire, release = self.acquire, self.release
        for _ in range(count):
            acquire()
            release()

    def relay(self, hold):
        visits = []
        order = "again"
        while order == "again":
            visits.append(self.visit(hold, lambda: say("held")))
            order = sys.stdin.readline().strip()
        return " ".join(visits)

    def rush(self, hold, until):
        visits = []
        while clock() < until:
            visits.append(self.visit(hold, lambda: None))
        return " ".join(visits)

    def visits(self, hold, pause, until):
        visits = []
        while clock() < until:
            visits.append(self.visit(hold, lambda: None))
            time.sleep(pause / 1e9)
        return " ".join(visits)

    def visit(self, hold, tell):
        asked = clock()
        self.acquire()
        acquired = clock()
        tell()
        time.sleep(hold / 1e9)
        releasing = clock()
        self.release()
        return f"{asked},{acquired},{releasing}"

    def hammer(self, until):
        count = 0
        while clock() < until:
            self.acquire()
            self.release()
            count += 1
        return count

    def slack(self):
        set_timer_slack = 29
        ctypes.CDLL(None).prctl(set_timer_slack, 1)
        return "exact"

    def hold(self):
        say("asking")
        self.acquire()
        say("held")
        sys.stdin.readline()
        self.release()
        return "released"


def serve(acquire, release, repeat=None):
    """Does as it is told until the benchmark goes away.

    `repeat` locks and unlocks so many times, where that is not done by the two functions.
    """
    worker = Worker(acquire, release, repeat)
    say("ready")
    while line := sys.stdin.readline():
        name, *numbers = line.split()
        say(getattr(worker, name)(*map(int, numbers)))
