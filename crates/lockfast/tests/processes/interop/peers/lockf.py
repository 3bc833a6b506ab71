"""Locks with `fcntl.lockf` of Python's standard library: `lockf.py PATH`."""

import fcntl
import sys

from dialogue import serve

OPERATIONS = {"exclusive": fcntl.LOCK_EX, "shared": fcntl.LOCK_SH}

file = open(sys.argv[1], "a+")


def take(mode, wait):
    try:
        fcntl.lockf(file, OPERATIONS[mode] | (0 if wait else fcntl.LOCK_NB))
        return True
    except BlockingIOError:
        return False


serve(take, lambda: fcntl.lockf(file, fcntl.LOCK_UN))
