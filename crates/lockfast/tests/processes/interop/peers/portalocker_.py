"""Locks with portalocker: `portalocker_.py PATH`."""

import sys

import portalocker
from dialogue import serve
from portalocker import LockFlags

FLAGS = {"exclusive": LockFlags.EXCLUSIVE, "shared": LockFlags.SHARED}

file = open(sys.argv[1], "a+")


def take(mode, wait):
    try:
        portalocker.lock(file, FLAGS[mode] if wait else FLAGS[mode] | LockFlags.NON_BLOCKING)
        return True
    except portalocker.AlreadyLocked:
        return False


serve(take, lambda: portalocker.unlock(file))
