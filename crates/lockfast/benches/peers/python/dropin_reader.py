"""A reader of the drop-in for fasteners: `dropin_reader.py PATH`."""

import sys

import lockfast.fasteners as fasteners
from worker import serve

lock = fasteners.InterProcessReaderWriterLock(sys.argv[1])
serve(lock.acquire_read_lock, lock.release_read_lock)
