"""Reports of waits to the program, and whether a thread that waits would wait for itself."""

from __future__ import annotations

import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import Any

    from lockfast._errors import Holder

_DEBUG = 10


class Waiting:
    """A wait for a lock, the argument of `on_wait`."""

    __slots__ = ("holder", "path", "waited")

    def __init__(self, path: str, waited: float, holder: Holder | None) -> None:
        #: The path of the lock file.
        self.path: str = path
        #: The time that the wait has lasted, in seconds; 0 in the first call.
        self.waited: float = waited
        #: The holder of the lock, if it is known; in the first call only.
        self.holder: Holder | None = holder

    def __repr__(self) -> str:
        return f"Waiting(path={self.path!r}, waited={self.waited!r}, holder={self.holder!r})"


def logger() -> logging.Logger | None:
    """Returns the logger `lockfast`, if its level is DEBUG or lower."""
    module = sys.modules.get("logging")
    if module is None:
        return None
    found: logging.Logger = module.getLogger("lockfast")
    return found if found.isEnabledFor(_DEBUG) else None


def begins(log: logging.Logger, path: str, holder: Holder | None) -> None:
    if holder is None or holder.pid is None:
        log.debug("waiting for lock %s", path)
    else:
        log.debug("waiting for lock %s, which pid %d holds", path, holder.pid)


def ended(log: logging.Logger, path: str, waited: float, error: BaseException | None) -> None:
    if error is None:
        log.debug("got lock %s after %.3f s", path, waited)
    else:
        name = type(error).__name__
        log.debug("no lock %s after %.3f s: %s: %s", path, waited, name, error)


def only_this_thread_releases(guards: list[Any]) -> bool:
    """Whether only this thread can release these guards, which it took.

    That is certain if there is no other thread, or if a function of this thread that still runs has one of
    them in a local variable. A thread of a pool has none when it starts its next work.
    """

    def is_guard(value: Any) -> bool:
        return any(value is guard for guard in guards) or (
            isinstance(value, tuple) and any(item is guard for item in value for guard in guards)
        )

    return _is_only_thread() or any(map(is_guard, _local_variables()))


def only_this_thread_releases_path(path: bytes) -> bool:
    """Whether only this thread can release the lock of `lockfast.fasteners` at that path."""
    from lockfast.fasteners._file_lock import FileLock

    def is_lock(value: Any) -> bool:
        return (
            isinstance(value, FileLock) and value.path == path and value._current_hold() is not None
        )

    return _is_only_thread() or any(map(is_lock, _local_variables()))


def _is_only_thread() -> bool:
    return _thread._count() == 0


def _local_variables() -> Iterator[Any]:
    frame = sys._getframe()
    while frame is not None:
        # All threads share the variables of a module.
        if frame.f_locals is not frame.f_globals:
            yield from list(frame.f_locals.values())
        frame = frame.f_back  # type: ignore[assignment]
