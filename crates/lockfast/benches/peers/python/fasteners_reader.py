"""A reader of fasteners, with its defaults: `fasteners_reader.py PATH`."""

import sys

import fasteners
from worker import serve

lock = fasteners.InterProcessReaderWriterLock(sys.argv[1])
serve(lock.acquire_read_lock, lock.release_read_lock)
