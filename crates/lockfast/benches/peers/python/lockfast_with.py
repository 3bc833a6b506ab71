"""The lock of this package, in a `with`: `lockfast_with.py PATH`."""

import sys

import lockfast
from worker import serve

lock = lockfast.Lock(sys.argv[1])


def rounds(count):
    for _ in range(count):
        with lock:
            pass


serve(lock.__enter__, lock.__exit__, rounds)
