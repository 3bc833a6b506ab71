"""Locks on files that are open in Python, for those who call these themselves."""

from __future__ import annotations

import fcntl
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The lock belongs to the open file, where there is such a thing: not to the process, which would lose
# it with any close of the file. It excludes those of processes, and they exclude it.
_SET = getattr(fcntl, "F_OFD_SETLK", None)


def _set(file: Any, kind: int) -> None:
    if _SET is None:
        flags = {
            fcntl.F_WRLCK: fcntl.LOCK_EX | fcntl.LOCK_NB,
            fcntl.F_RDLCK: fcntl.LOCK_SH | fcntl.LOCK_NB,
            fcntl.F_UNLCK: fcntl.LOCK_UN,
        }
        fcntl.lockf(file, flags[kind])
    else:
        # type, whence, start, length (0: to the end, wherever it will be), pid
        fcntl.fcntl(file, _SET, struct.pack("@hhqqi0q", kind, 0, 0, 0, 0))


class _InterProcessMechanism:
    """Exclusive."""

    @staticmethod
    def trylock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_WRLCK)

    @staticmethod
    def unlock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_UNLCK)


class _InterProcessReaderWriterLockMechanism:
    """Exclusive or shared; one on the same open file becomes the other."""

    @staticmethod
    def trylock(lockfile: Any, exclusive: bool) -> bool:
        try:
            _set(lockfile, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK)
        except (BlockingIOError, PermissionError):
            return False
        return True

    @staticmethod
    def unlock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_UNLCK)


_interprocess_mechanism = _InterProcessMechanism()
_interprocess_reader_writer_mechanism = _InterProcessReaderWriterLockMechanism()
