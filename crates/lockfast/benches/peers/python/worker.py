"""What the peers in Python have in common: the worker's side of the dialogue, as in `worker.rs`."""

import sys
import time

clock = time.monotonic_ns


def say(text):
    print(text, flush=True)


class Worker:
    def __init__(self, acquire, release):
        self.acquire = acquire
        self.release = release

    def rounds(self, count):
        for _ in range(count // 10):
            self.acquire()
            self.release()
        begin = clock()
        for _ in range(count):
            self.acquire()
            self.release()
        return clock() - begin

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

    def hold(self):
        say("asking")
        self.acquire()
        say("held")
        sys.stdin.readline()
        self.release()
        return "released"


def serve(acquire, release):
    """Does as it is told until the benchmark goes away."""
    worker = Worker(acquire, release)
    say("ready")
    while line := sys.stdin.readline():
        name, *numbers = line.split()
        say(getattr(worker, name)(*map(int, numbers)))
