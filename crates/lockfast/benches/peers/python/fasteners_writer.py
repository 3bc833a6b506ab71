"""A writer of fasteners, with its defaults: `fasteners_writer.py PATH`."""

import sys

import fasteners
from worker import serve

lock = fasteners.InterProcessReaderWriterLock(sys.argv[1])
serve(lock.acquire_write_lock, lock.release_write_lock)
