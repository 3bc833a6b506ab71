"""Locks with fasteners: `fasteners_.py PATH exclusive|reader-writer`."""

import sys
import time

import fasteners
from dialogue import serve, tell_waiting


def sleep(seconds):
    tell_waiting()
    time.sleep(seconds)


path, variant = sys.argv[1:]
if variant == "exclusive":
    lock = fasteners.InterProcessLock(path, sleep_func=sleep)
    acquire = {"exclusive": lock.acquire}
    release = {"exclusive": lock.release}
else:
    lock = fasteners.InterProcessReaderWriterLock(path, sleep_func=sleep)
    acquire = {"exclusive": lock.acquire_write_lock, "shared": lock.acquire_read_lock}
    release = {"exclusive": lock.release_write_lock, "shared": lock.release_read_lock}
held = None


def take(mode, wait):
    global held
    taken = acquire[mode](blocking=wait)
    if taken:
        held = mode
    return taken


serve(take, lambda: release[held]())
