"""Locks on files that are open in Python, for those who call these themselves."""

from __future__ import annotations

import fcntl
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The lock belongs to the open file, where there is such a thing: not to the process, which would lose
# it with any close of the file. It excludes those of processes, and they exclude it.
_HAS_OFD = sys.platform == "linux"


def _set(file: Any, kind: int, is_patient: bool = False) -> None:
    if _HAS_OFD:
        command = fcntl.F_OFD_SETLKW if is_patient else fcntl.F_OFD_SETLK
        # type, whence, start, length (0: to the end, wherever it will be), pid
        fcntl.fcntl(file, command, struct.pack("@hhqqi0q", kind, 0, 0, 0, 0))
        return
    flags = {
        fcntl.F_WRLCK: fcntl.LOCK_EX,
        fcntl.F_RDLCK: fcntl.LOCK_SH,
        fcntl.F_UNLCK: fcntl.LOCK_UN,
    }
    fcntl.lockf(file, flags[kind] | (0 if is_patient else fcntl.LOCK_NB))


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
    def lock(lockfile: Any, exclusive: bool) -> None:
        """Waits as long as it takes."""
        _set(lockfile, fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK, is_patient=True)

    @staticmethod
    def unlock(lockfile: Any) -> None:
        _set(lockfile, fcntl.F_UNLCK)


_interprocess_mechanism = _InterProcessMechanism()
_interprocess_reader_writer_mechanism = _InterProcessReaderWriterLockMechanism()
