"""The lock of portalocker: `portalocker_.py PATH`.

With its defaults, except that it does not give up after five seconds.
"""

import sys

import portalocker
from worker import serve

lock = portalocker.Lock(sys.argv[1], timeout=3600)
serve(lock.acquire, lock.release)
