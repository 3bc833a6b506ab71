"""Times locks of lockfast and of tooz on the same etcd: URL of lockfast, URL of tooz, number of rounds.

Prints JSON: for each measurement the seconds of lockfast and those of tooz, taken in turns.
"""

import json
import sys
import threading
import time

import lockfast
from tooz import coordination

# Until the waiter asks for the lock.
SETTLED = 0.05


class Tooz:
    def __init__(self, url, member):
        self.coordinator = coordination.get_coordinator(url, member)
        self.coordinator.start(start_heart=True)

    def lock(self, name):
        return self.coordinator.get_lock(name.encode())

    def stop(self):
        self.coordinator.stop()


class Lockfast:
    def __init__(self, url, _member):
        self.space = lockfast.Space(url)

    def lock(self, name):
        return self.space.lock(name)

    def stop(self):
        pass


def timed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def pair(lock):
    lock.acquire()
    lock.release()


def hand_over(holder, waiter):
    granted = []

    def wait():
        waiter.acquire()
        granted.append(time.perf_counter())
        waiter.release()

    holder.acquire()
    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(SETTLED)
    begin = time.perf_counter()
    holder.release()
    thread.join()
    return granted[0] - begin


def main():
    (ours, theirs), rounds = sys.argv[1:3], int(sys.argv[3])
    kinds = [(Lockfast, ours), (Tooz, theirs)]
    sides = [[kind(url, b"a"), kind(url, b"b")] for kind, url in kinds]
    pairs, relays = ([], []), ([], [])
    for _ in range(rounds):
        for (first, _), times in zip(sides, pairs):
            times.append(timed(lambda lock=first.lock("pair"): pair(lock)))
    for _ in range(max(rounds // 20, 5)):
        for (first, second), times in zip(sides, relays):
            times.append(hand_over(first.lock("relay"), second.lock("relay")))
    print(json.dumps({"pair": pairs, "hand-over": relays}))
    for side in sides:
        for client in side:
            client.stop()


main()
