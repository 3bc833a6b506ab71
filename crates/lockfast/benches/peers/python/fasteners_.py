"""The lock of fasteners, with its defaults: `fasteners_.py PATH`."""

import sys

import fasteners
from worker import serve

lock = fasteners.InterProcessLock(sys.argv[1])
serve(lock.acquire, lock.release)
