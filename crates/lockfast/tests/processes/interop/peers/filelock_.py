"""Locks with filelock: `filelock_.py PATH`."""

import logging
import sys

import filelock
from dialogue import serve, tell_waiting


class Announcer(logging.Handler):
    """filelock tells its log before it sleeps, and nobody else."""

    def emit(self, record):
        if "waiting" in record.msg:
            tell_waiting()


logger = logging.getLogger("filelock")
logger.setLevel(logging.DEBUG)
logger.propagate = False
logger.addHandler(Announcer())

lock = filelock.FileLock(sys.argv[1])


def take(mode, wait):
    assert mode == "exclusive", mode
    try:
        lock.acquire(timeout=-1 if wait else 0)
        return True
    except filelock.Timeout:
        return False


serve(take, lock.release)
