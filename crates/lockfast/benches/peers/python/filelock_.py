"""The lock of filelock, with its defaults: `filelock_.py PATH`."""

import sys

import filelock
from worker import serve

lock = filelock.FileLock(sys.argv[1])
serve(lock.acquire, lock.release)
