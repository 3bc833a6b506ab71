"""The semaphore of portalocker, with three permits: `portalocker_semaphore.py PATH`.

With its defaults, except that it does not give up after five seconds. Its slots are files beside
that path.
"""

import os.path
import sys

import portalocker
from worker import serve

directory, name = os.path.split(sys.argv[1])
semaphore = portalocker.NamedBoundedSemaphore(3, name=name, directory=directory, timeout=3600)
serve(semaphore.acquire, semaphore.release)
