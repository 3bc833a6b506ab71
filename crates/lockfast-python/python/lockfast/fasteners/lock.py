"""Locks among threads, with the interface of fasteners."""

from __future__ import annotations

import collections
import threading
from contextlib import contextmanager
from functools import wraps

from lockfast.fasteners import _utils

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import Any, Callable


class ReaderWriterLock:
    """A reentrant readers-writer lock among threads.

    Writers get the lock in the order of their calls, and before readers that call later. A writer may also
    read, and go on reading after it has released the write lock. A reader can't become a writer.
    """

    #: A thread writes.
    WRITER = "w"
    #: Threads read.
    READER = "r"

    def __init__(
        self,
        condition_cls: Callable[[], Any] = threading.Condition,
        current_thread_functor: Callable[[], Any] | None = threading.current_thread,
    ) -> None:
        self._writer: Any = None
        self._writer_entries = 0
        self._pending_writers: collections.deque[Any] = collections.deque()
        self._readers: dict[Any, int] = {}
        self._cond = condition_cls()
        self._current_thread: Callable[[], Any] = (
            threading.current_thread if current_thread_functor is None else current_thread_functor
        )

    @property
    def has_pending_writers(self) -> bool:
        """Whether a thread waits to write."""
        return bool(self._pending_writers)

    def is_writer(self, check_pending: bool = True) -> bool:
        """Whether the caller writes, or with `check_pending` waits to write."""
        me = self._current_thread()
        with self._cond:
            return self._writer == me or (check_pending and me in self._pending_writers)

    def is_reader(self) -> bool:
        """Whether the caller reads."""
        me = self._current_thread()
        with self._cond:
            return me in self._readers

    @property
    def owner(self) -> str | None:
        """The way the lock is held: `WRITER`, `READER` or None."""
        with self._cond:
            if self._writer is not None:
                return self.WRITER
            return self.READER if self._readers else None

    def acquire_read_lock(self) -> None:
        """Acquires the lock to read, together with other readers."""
        me = self._current_thread()
        with self._cond:
            if me in self._pending_writers:
                raise RuntimeError(
                    f"Writer {me} can not acquire a read lock while waiting for the write lock"
                )
            while not self._may_read(me):
                self._cond.wait()
            self._readers[me] = self._readers.get(me, 0) + 1

    def _may_read(self, me: Any) -> bool:
        if self._writer is not None:
            return bool(self._writer == me)
        return me in self._readers or not self._pending_writers

    def release_read_lock(self) -> None:
        """Releases one read lock of the caller."""
        me = self._current_thread()
        with self._cond:
            if me not in self._readers:
                raise RuntimeError(f"Thread {me} does not own a read lock")
            self._readers[me] -= 1
            if self._readers[me] == 0:
                del self._readers[me]
            self._cond.notify_all()

    def acquire_write_lock(self) -> None:
        """Acquires the lock to write, alone, after the writers that called before."""
        me = self._current_thread()
        with self._cond:
            if self._writer == me:
                self._writer_entries += 1
                return
            if me in self._readers:
                raise RuntimeError(f"Reader {me} to writer privilege escalation not allowed")
            self._pending_writers.append(me)
            try:
                while self._readers or self._writer is not None or self._pending_writers[0] != me:
                    self._cond.wait()
            except BaseException:
                # Readers would wait for this writer forever.
                self._pending_writers.remove(me)
                self._cond.notify_all()
                raise
            self._pending_writers.popleft()
            self._writer = me
            self._writer_entries = 1

    def release_write_lock(self) -> None:
        """Releases one write lock of the caller."""
        me = self._current_thread()
        with self._cond:
            if self._writer is None or self._writer != me:
                raise RuntimeError(f"Thread {me} does not own a write lock")
            self._writer_entries -= 1
            if self._writer_entries == 0:
                self._writer = None
                self._cond.notify_all()

    @contextmanager
    def read_lock(self) -> Iterator[ReaderWriterLock]:
        """Holds the lock to read in the block."""
        self.acquire_read_lock()
        try:
            yield self
        finally:
            if self.is_reader():
                self.release_read_lock()

    @contextmanager
    def write_lock(self) -> Iterator[ReaderWriterLock]:
        """Holds the lock to write in the block."""
        self.acquire_write_lock()
        try:
            yield self
        finally:
            if self.is_writer(check_pending=False):
                self.release_write_lock()


def locked(*args: Any, **kwargs: Any) -> Any:
    """Runs the method while it holds the lock, or the list of locks, in the object's `_lock`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        attribute = kwargs.get("lock", "_lock")
        logger: logging.Logger | None = kwargs.get("logger")

        @wraps(function)
        def run(self: Any, *arguments: Any, **keywords: Any) -> Any:
            lock = getattr(self, attribute)
            if not isinstance(lock, (tuple, list)):
                with lock:
                    return function(self, *arguments, **keywords)
            with _utils.LockStack(logger=logger) as stack:
                for number, one in enumerate(lock, 1):
                    if not stack.acquire_lock(one):
                        raise threading.ThreadError(f"Unable to acquire lock {number}")
                return function(self, *arguments, **keywords)

        return run

    return _with_or_without_call(decorate, args, kwargs)


def read_locked(*args: Any, **kwargs: Any) -> Any:
    """Runs the method in `read_lock()` of the object's `_lock`."""
    return _with_or_without_call(_under("read_lock", kwargs), args, kwargs)


def write_locked(*args: Any, **kwargs: Any) -> Any:
    """Runs the method in `write_lock()` of the object's `_lock`."""
    return _with_or_without_call(_under("write_lock", kwargs), args, kwargs)


def _under(way: str, kwargs: dict[str, Any]) -> Callable[[Callable[..., Any]], Any]:
    attribute = kwargs.get("lock", "_lock")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(self: Any, *arguments: Any, **keywords: Any) -> Any:
            with getattr(getattr(self, attribute), way)():
                return function(self, *arguments, **keywords)

        return run

    return decorate


def _with_or_without_call(
    decorate: Callable[[Callable[..., Any]], Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if kwargs or not args:
        return decorate
    if len(args) == 1:
        return decorate(args[0])
    return decorate


@contextmanager
def try_lock(lock: Any) -> Iterator[bool]:
    """Tries to acquire the lock for the block. The value says whether it did."""
    got = lock.acquire(False)
    try:
        yield got
    finally:
        if got:
            lock.release()
