"""Locks of files that are open in Python, for programs that call these functions themselves."""

from __future__ import annotations

import fcntl
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# On Linux the lock belongs to the open file description, not to the process, which would lose it with any
# close of the file. The two kinds conflict with each other.
_HAS_OFD = sys.platform == "linux"


def _set(file: Any, kind: int, waits: bool = False) -> None:
    if _HAS_OFD:
        command = fcntl.F_OFD_SETLKW if waits else fcntl.F_OFD_SETLK
        # type, whence, start, length (0: to the end, wherever it will be), pid
        fcntl.fcntl(file, command, struct.pack("@hhqqi0q", kind, 0, 0, 0, 0))
        return
    flags = {
        fcntl.F_WRLCK: fcntl.LOCK_EX,
        fcntl.F_RDLCK: fcntl.LOCK_SH,
        fcntl.F_UNLCK: fcntl.LOCK_UN,
    }
    fcntl.lockf(file, flags[kind] | (0 if waits else fcntl.LOCK_NB))


class _InterProcessMechanism:
    """Exclusive locks."""

    @staticmethod
    def trylock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_WRLCK)

    @staticmethod
    def unlock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_UNLCK)


class _InterProcessReaderWriterLockMechanism:
    """Exclusive or shared locks. On the same open file, one is converted into the other."""

    @staticmethod
    def trylock(lockfile: Any, exclusive: bool) -> bool:
        try:
            _set(lockfile, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK)
        except (BlockingIOError, PermissionError):
            return False
        return True

    @staticmethod
    def lock(lockfile: Any, exclusive: bool) -> None:
        """Waits until the lock is acquired."""
        _set(lockfile, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, waits=True)

    @staticmethod
    def unlock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_UNLCK)


_interprocess_mechanism = _InterProcessMechanism()
_interprocess_reader_writer_mechanism = _InterProcessReaderWriterLockMechanism()
