# A drop-in for fasteners 0.20: `import lockfast.fasteners as fasteners`.

from __future__ import annotations

# Programs use the modules without importing them.
from lockfast.fasteners import lock, process_lock, process_mechanism, version  # noqa: F401
from lockfast.fasteners.lock import (
    ReaderWriterLock,
    locked,
    read_locked,
    try_lock,
    write_locked,
)
from lockfast.fasteners.process_lock import (
    InterProcessLock,
    InterProcessReaderWriterLock,
    interprocess_locked,
    interprocess_read_locked,
    interprocess_write_locked,
)

__version__ = version.version_string()

__all__ = [
    "InterProcessLock",
    "InterProcessReaderWriterLock",
    "ReaderWriterLock",
    "__version__",
    "interprocess_locked",
    "interprocess_read_locked",
    "interprocess_write_locked",
    "locked",
    "read_locked",
    "try_lock",
    "write_locked",
]
