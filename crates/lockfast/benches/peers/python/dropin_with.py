"""The drop-in for fasteners, in a `with`: `dropin_with.py PATH`."""

import sys

import lockfast.fasteners as fasteners
from worker import serve

lock = fasteners.InterProcessLock(sys.argv[1])


def rounds(count):
    for _ in range(count):
        with lock:
            pass


serve(lock.acquire, lock.release, rounds)
