"""The drop-in for fasteners: `dropin.py PATH`."""

import sys

import lockfast.fasteners as fasteners
from worker import serve

lock = fasteners.InterProcessLock(sys.argv[1])
serve(lock.acquire, lock.release)
