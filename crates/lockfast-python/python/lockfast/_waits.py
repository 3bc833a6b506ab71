"""Reports of waits to the program, and the threads that surely hold a lock."""

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
    """A wait for a lock, as `on_wait` gets it."""

    __slots__ = ("holder", "path", "waited")

    def __init__(self, path: str, waited: float, holder: Holder | None) -> None:
        #: The path of the lock file.
        self.path: str = path
        #: How many seconds the wait has lasted; 0 in the first call.
        self.waited: float = waited
        #: Who holds the lock, if it is known; in the first call only.
        self.holder: Holder | None = holder

    def __repr__(self) -> str:
        return f"Waiting(path={self.path!r}, waited={self.waited!r}, holder={self.holder!r})"


def logger() -> logging.Logger | None:
    """The logger `lockfast`, if it wants to know of waits."""
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


def is_sure(guards: list[Any]) -> bool:
    """Whether only this thread can release these guards, which it took.

    That is so if there is no other thread, or if a function of it that still runs has one of them in a
    variable of its own. A thread of a pool has neither, when it comes to its next work.
    """

    def is_one(value: Any) -> bool:
        return any(value is guard for guard in guards) or (
            isinstance(value, tuple) and any(item is guard for item in value for guard in guards)
        )

    return _is_alone() or any(map(is_one, _variables()))


def is_sure_of_path(path: bytes) -> bool:
    """The same of a lock of `lockfast.fasteners`."""
    from lockfast.fasteners._file_lock import FileLock

    def is_one(value: Any) -> bool:
        return (
            isinstance(value, FileLock) and value.path == path and value._current_hold() is not None
        )

    return _is_alone() or any(map(is_one, _variables()))


def _is_alone() -> bool:
    return _thread._count() == 0


def _variables() -> Iterator[Any]:
    frame = sys._getframe()
    while frame is not None:
        # What a module has, all threads have.
        if frame.f_locals is not frame.f_globals:
            yield from list(frame.f_locals.values())
        frame = frame.f_back  # type: ignore[assignment]
