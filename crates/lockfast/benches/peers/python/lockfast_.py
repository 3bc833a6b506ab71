"""The lock of this package: `lockfast_.py PATH`."""

import sys

import lockfast
from worker import serve

lock = lockfast.Lock(sys.argv[1])
guards = []


def rounds(count):
    for _ in range(count):
        lock.acquire().release()


serve(lambda: guards.append(lock.acquire()), lambda: guards.pop().release(), rounds)
