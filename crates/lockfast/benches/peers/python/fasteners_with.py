"""The lock of fasteners, in a `with`: `fasteners_with.py PATH`."""

import sys

import fasteners
from worker import serve

lock = fasteners.InterProcessLock(sys.argv[1])


def rounds(count):
    for _ in range(count):
        with lock:
            pass


serve(lock.acquire, lock.release, rounds)
