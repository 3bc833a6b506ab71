"""The kernel's record lock, by Python's own call that waits: `lockf.py PATH`."""

import fcntl
import sys

from worker import serve

file = open(sys.argv[1], "a")
serve(lambda: fcntl.lockf(file, fcntl.LOCK_EX), lambda: fcntl.lockf(file, fcntl.LOCK_UN))
