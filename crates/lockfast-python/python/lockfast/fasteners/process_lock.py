"""Locks between processes, with the interface of fasteners.

Each acquire opens the file and each release closes it, as in fasteners. Waits are different: the kernel
wakes the waiter. If the program has its own function to sleep or overrides how the lock is tried, these are
called instead, at the intervals of fasteners.
"""

from __future__ import annotations

from functools import wraps

from lockfast._lockfast import Lock
from lockfast._names import name_of
from lockfast.fasteners import _utils
from lockfast.fasteners._exclusive import InterProcessLock
from lockfast.fasteners._file_lock import LOG, _ensure_tree
from lockfast.fasteners._shared import InterProcessReaderWriterLock
from lockfast.fasteners.process_mechanism import (
    _interprocess_mechanism,
    _interprocess_reader_writer_mechanism,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

__all__ = [
    "LOG",
    "InterProcessLock",
    "InterProcessReaderWriterLock",
    "_ensure_tree",
    "_interprocess_mechanism",
    "_interprocess_reader_writer_mechanism",
    "_utils",
    "interprocess_locked",
    "interprocess_read_locked",
    "interprocess_write_locked",
]


def _named(function: Callable[..., Any]) -> str:
    return Lock.named(name_of(function)).path


def _decorator(path: Any, around: Callable[[Any], Callable[[], Any]]) -> Any:
    """Returns a decorator for a path; decorates a function by a lock that is named after it."""

    def decorate(function: Callable[..., Any], path: Any = path) -> Callable[..., Any]:
        enter = around(path)

        @wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Any:
            with enter():
                return function(*arguments, **keywords)

        return run

    if hasattr(path, "__code__"):
        return decorate(path, _named(path))
    return decorate


def interprocess_locked(path: Any) -> Any:
    """Runs the function while it holds an exclusive lock."""

    def around(path: Any) -> Callable[[], Any]:
        lock = InterProcessLock(path)
        return lambda: lock

    return _decorator(path, around)


def interprocess_read_locked(path: Any) -> Any:
    """Runs the function while it holds the lock to read, together with other readers."""
    return _decorator(path, lambda path: InterProcessReaderWriterLock(path).read_lock)


def interprocess_write_locked(path: Any) -> Any:
    """Runs the function while it holds the lock to write, alone."""
    return _decorator(path, lambda path: InterProcessReaderWriterLock(path).write_lock)
