"""Locks between processes, with the interface of fasteners.

The file is opened by each acquire and closed by each release, as there. Waiting is different: the kernel
wakes a waiter, unless the program has a way to sleep of its own or overrides how the lock is tried; then
that is called, at the intervals that fasteners has.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time
from contextlib import contextmanager
from functools import wraps

from lockfast import _errors
from lockfast._lockfast import Opener
from lockfast.fasteners import _utils
from lockfast.fasteners.process_mechanism import (
    _interprocess_mechanism,
    _interprocess_reader_writer_mechanism,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable, TypeVar

    from lockfast._lockfast import Hold

    _C = TypeVar("_C", bound=Callable[..., Any])

LOG = logging.getLogger("fasteners.process_lock")

_CONTENDED = (errno.EACCES, errno.EAGAIN)
_NOT_AT_ALL = -1.0
_ALONE, _READS, _WRITES = 0, 1, 2

_get_ident = threading.get_ident

# How many forks there were from the first process to this one: what a parent holds, its child does not.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)

# A program that was made green (eventlet, gevent) has another `time.sleep`, which must be the one that
# sleeps.
_KERNEL_SLEEP = time.sleep if type(time.sleep) is type(len) else None


def _ensure_tree(path: bytes) -> bool:
    """Creates the directories; was there anything to create?"""
    try:
        os.makedirs(path)
    except OSError as error:
        if error.errno == errno.EISDIR or (error.errno == errno.EEXIST and os.path.isdir(path)):
            return False
        raise
    return True


def _checked(delay: float, max_delay: float, timeout: float | None) -> float:
    """The longest delay, if all of these make sense."""
    if delay < 0:
        raise ValueError("Delay must be greater than or equal to zero")
    if timeout is not None and timeout < 0:
        raise ValueError("Timeout must be greater than or equal to zero")
    return max(delay, max_delay)


def _is_about_opening(error: _errors.LockError, path: bytes) -> bool:
    """Will opening the file in Python tell what is wrong, in its words?"""
    if isinstance(error, (_errors.Deadlock, _errors.Unsupported)):
        return False
    if isinstance(error, _errors.InvalidPath):
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            return True
        # Opening a FIFO would block, and opening a device may do anything.
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return True


def _refused(path: bytes, error: BaseException, end: str) -> RuntimeError:
    text: Any = error
    if isinstance(error, _errors.LockError) and error.errno is not None:
        text = OSError(error.errno, os.strerror(error.errno))
    return threading.ThreadError(f"Unable to acquire lock on `{path!r}` due to {text}{end}")


class _FileLock:
    """What both locks have."""

    MAX_DELAY = 0.1
    DELAY_INCREMENT = 0.01

    _MODE = "a"

    path: bytes
    sleep_func: Callable[[float], Any]
    logger: logging.Logger

    def __init__(
        self,
        path: Any,
        sleep_func: Callable[[float], Any] = time.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        self._file: Any = None
        self._is_given = False
        self._opener = Opener()
        self.path = _utils.canonicalize_path(path)
        self.sleep_func = sleep_func
        self.logger = LOG if logger is None else logger

    def _current_hold(self) -> Hold | None:
        raise NotImplementedError

    @property
    def lockfile(self) -> Any:
        """The file as Python has it, while it is locked; or the one that the program put here."""
        if self._file is None:
            hold = self._current_hold()
            if hold is not None:
                # A copy of the descriptor: closing it does nothing to the lock.
                self._file = os.fdopen(os.dup(hold.fileno()), self._MODE)
        return self._file

    @lockfile.setter
    def lockfile(self, file: Any) -> None:
        self._file = file
        self._is_given = file is not None

    def _do_open(self) -> None:
        directory = os.path.dirname(self.path)
        if directory and _ensure_tree(directory):
            self.logger.log(_utils.BLATHER, "Created lock base path `%s`", directory)
        if self._file is None or self._file.closed:
            self._file = open(self.path, self._MODE)
            self._is_given = False

    def _do_close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._is_given = False

    def _close_unless_given(self) -> None:
        """After an acquire that failed."""
        if not self._is_given:
            self._do_close()

    def _log_acquired(self, waited: float, attempts: int) -> None:
        self.logger.log(
            _utils.BLATHER,
            "Acquired file lock `%s` after waiting %0.3fs [%s attempts were required]",
            self.path,
            waited,
            attempts,
        )

    def _log_released(self) -> None:
        text = "Unlocked and closed file lock open on `%s`"
        self.logger.log(_utils.BLATHER, text, self.path)


class InterProcessLock(_FileLock):
    """An exclusive lock between processes."""

    acquired: bool

    def __init__(
        self,
        path: Any,
        sleep_func: Callable[[float], Any] = time.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(path, sleep_func, logger)
        self.acquired = False
        self._hold: Hold | None = None
        self._forks = self._thread = -1

    def acquire(
        self,
        blocking: bool = True,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it; False if somebody else holds it until the time has passed."""
        max_delay = _checked(delay, max_delay, timeout)
        # What a program may have its own of has to be called; else the kernel wakes it.
        cls = type(self)
        own = self.__dict__
        if (
            self.sleep_func is not _KERNEL_SLEEP
            or self._is_given
            or cls.trylock is not _trylock
            or cls.unlock is not _unlock
            or cls._do_open is not _do_open
            or "trylock" in own
            or "unlock" in own
        ):
            return self._acquire_by_hand(blocking, delay, max_delay, timeout)
        if self.acquired and self._is_mine():
            return True
        is_logged = self.logger.isEnabledFor(_utils.BLATHER)
        began = time.monotonic() if is_logged else 0.0
        try:
            hold = self._opener.take(self.path, _ALONE, timeout if blocking else _NOT_AT_ALL)
        except _errors.LockError as error:
            if _is_about_opening(error, self.path):
                return self._acquire_by_hand(blocking, delay, max_delay, timeout)
            raise _refused(self.path, error, "") from error
        if hold is None:
            return False
        self._hold = hold
        self._forks = _forks
        self._thread = _get_ident()
        self.acquired = True
        if is_logged:
            self._log_acquired(time.monotonic() - began, 1)
        return True

    def _acquire_by_hand(
        self, blocking: bool, delay: float, max_delay: float, timeout: float | None
    ) -> bool:
        self._do_open()
        watch = _utils.StopWatch(duration=timeout).start()
        retry = _utils.Retry(delay, max_delay, sleep_func=self.sleep_func, watch=watch)
        got = False
        try:
            got = retry(self._try_acquire, blocking, watch)
        finally:
            if not got and not self._is_mine():
                self._close_unless_given()
        if not got:
            return False
        self._forks = _forks
        self._thread = _get_ident()
        self.acquired = True
        self._log_acquired(watch.elapsed(), retry.attempts)
        return True

    def _try_acquire(self, blocking: bool, watch: _utils.StopWatch) -> bool:
        try:
            if self.acquired and self._thread != _get_ident() and self._forks == _forks:
                raise BlockingIOError(errno.EAGAIN, "another thread holds it")
            self.trylock()
        except OSError as error:
            if error.errno not in _CONTENDED:
                raise _refused(self.path, error, "") from error
            if not blocking or watch.expired():
                return False
            raise _utils.RetryAgain() from None
        return True

    def _is_mine(self) -> bool:
        """Does this thread hold it? A forked child does not hold what its parent does."""
        return self.acquired and self._thread == _get_ident() and self._forks == _forks

    def _current_hold(self) -> Hold | None:
        return self._hold

    def release(self) -> None:
        """Releases it, however often it was acquired."""
        if not self.acquired:
            raise threading.ThreadError("Unable to release an unaquired lock")
        hold = self._hold
        if hold is not None:
            file = self._file
            # Whoever is granted it next writes these.
            self._file = self._hold = None
            self.acquired = False
            if file is not None:
                file.close()
            hold.release()
            self._log_released()
            return
        try:
            self.unlock()
        except Exception as error:
            text = "Could not unlock the acquired lock opened on `%s`"
            self.logger.exception(text, self.path)
            raise threading.ThreadError(text % (self.path,)) from error
        self.acquired = False
        try:
            self._do_close()
        except OSError:
            self.logger.exception(
                "Could not close the file handle opened on `%s`", self.path
            )
        else:
            self._log_released()

    def __enter__(self) -> InterProcessLock:
        if not self.acquire():
            # It waits for ever, so there is no other end.
            raise threading.ThreadError("Unable to acquire lock on `%s`" % (self.path,))
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def exists(self) -> bool:
        """Is there a lock file?"""
        return os.path.exists(self.path)

    def trylock(self) -> None:
        """One attempt on `lockfile`, which must be open."""
        _interprocess_mechanism.trylock(self.lockfile)

    def unlock(self) -> None:
        """Unlocks `lockfile`, and leaves it open."""
        _interprocess_mechanism.unlock(self.lockfile)


_trylock, _unlock = InterProcessLock.trylock, InterProcessLock.unlock
_do_open = _FileLock._do_open


class _Share:
    """What a thread holds of a readers-writer lock."""

    __slots__ = ("exclusive", "forks", "hold")

    def __init__(self, hold: Hold, exclusive: bool) -> None:
        self.hold = hold
        self.exclusive = exclusive
        self.forks = _forks


class InterProcessReaderWriterLock(_FileLock):
    """A readers-writer lock between processes."""

    _MODE = "a+"

    def __init__(
        self,
        path: Any,
        sleep_func: Callable[[float], Any] = time.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(path, sleep_func, logger)
        # By thread, so that each releases its own.
        self._shares: dict[int, _Share] = {}

    def acquire_read_lock(
        self,
        blocking: bool = True,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it beside other readers; False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=False)

    def acquire_write_lock(
        self,
        blocking: bool = True,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it alone; False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=True)

    def _acquire(
        self,
        blocking: bool = True,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
        timeout: float | None = None,
        exclusive: bool = True,
    ) -> bool:
        max_delay = _checked(delay, max_delay, timeout)
        share = self._own_share()
        if share is not None:
            return self._convert(share, blocking, delay, max_delay, timeout, exclusive)
        if self.sleep_func is not _KERNEL_SLEEP or self._is_given:
            return self._acquire_by_hand(blocking, delay, max_delay, timeout, exclusive)
        began = time.monotonic()
        sort = _WRITES if exclusive else _READS
        try:
            hold = self._opener.take(self.path, sort, timeout if blocking else _NOT_AT_ALL)
        except _errors.LockError as error:
            if _is_about_opening(error, self.path):
                return self._acquire_by_hand(blocking, delay, max_delay, timeout, exclusive)
            raise _refused(self.path, error, "!") from error
        if hold is None:
            return False
        self._shares[_get_ident()] = _Share(hold, exclusive)
        self._log_acquired(time.monotonic() - began, 1)
        return True

    def _convert(
        self,
        share: _Share,
        blocking: bool,
        delay: float,
        max_delay: float,
        timeout: float | None,
        exclusive: bool,
    ) -> bool:
        """From reader to writer or back; what is held stays held if that fails."""
        if share.exclusive == exclusive:
            return True
        watch = _utils.StopWatch(duration=timeout).start()

        def attempt() -> bool:
            descriptor = share.hold.fileno()
            if _interprocess_reader_writer_mechanism.trylock(descriptor, exclusive):
                share.exclusive = exclusive
                return True
            if not blocking or watch.expired():
                return False
            raise _utils.RetryAgain

        retry = _utils.Retry(delay, max_delay, sleep_func=self.sleep_func, watch=watch)
        return bool(retry(attempt))

    def _acquire_by_hand(
        self,
        blocking: bool,
        delay: float,
        max_delay: float,
        timeout: float | None,
        exclusive: bool,
    ) -> bool:
        was_open = self._file is not None
        self._do_open()
        watch = _utils.StopWatch(duration=timeout).start()
        retry = _utils.Retry(delay, max_delay, sleep_func=self.sleep_func, watch=watch)
        got = False
        try:
            got = retry(self._try_acquire, blocking, watch, exclusive)
        finally:
            if not got and not was_open:
                self._close_unless_given()
        if got:
            self._log_acquired(watch.elapsed(), retry.attempts)
        return got

    def _try_acquire(self, blocking: bool, watch: _utils.StopWatch, exclusive: bool) -> bool:
        try:
            got = _interprocess_reader_writer_mechanism.trylock(self.lockfile, exclusive)
        except Exception as error:
            raise _refused(self.path, error, "!") from error
        if got:
            return True
        if not blocking or watch.expired():
            return False
        raise _utils.RetryAgain

    def _own_share(self) -> _Share | None:
        share = self._shares.get(_get_ident())
        if share is not None and share.forks != _forks:
            # A forked child does not hold what its parent does.
            return None
        return share

    def _current_hold(self) -> Hold | None:
        share = self._shares.get(_get_ident())
        return share.hold if share is not None else None

    def _take_share(self) -> _Share | None:
        share = self._shares.pop(_get_ident(), None)
        if share is None and self._shares:
            # Released by another thread than the one that acquired it.
            share = self._shares.pop(next(iter(self._shares)))
        return share

    def _release(self) -> None:
        share = self._take_share()
        if share is None:
            try:
                _interprocess_reader_writer_mechanism.unlock(self.lockfile)
            except OSError:
                text = "Could not unlock the acquired lock opened on `%s`"
                self.logger.exception(text, self.path)
                return
        file, self._file, self._is_given = self._file, None, False
        if file is not None:
            file.close()
        if share is not None:
            share.hold.release()
        self._log_released()

    def release_read_lock(self) -> None:
        """Releases what this thread holds."""
        self._release()

    def release_write_lock(self) -> None:
        """Releases what this thread holds."""
        self._release()

    @contextmanager
    def read_lock(
        self,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
    ) -> Iterator[None]:
        """Reads in the block."""
        self.acquire_read_lock(blocking=True, delay=delay, max_delay=max_delay)
        try:
            yield
        finally:
            self.release_read_lock()

    @contextmanager
    def write_lock(
        self,
        delay: float = _FileLock.DELAY_INCREMENT,
        max_delay: float = _FileLock.MAX_DELAY,
    ) -> Iterator[None]:
        """Writes in the block."""
        if not self.acquire_write_lock(blocking=True, delay=delay, max_delay=max_delay):
            raise threading.ThreadError("Unable to acquire lock on `%s`" % (self.path,))
        try:
            yield
        finally:
            self.release_write_lock()


def _named(function: Callable[..., Any]) -> str:
    from lockfast import _lockfast
    from lockfast._decorators import _name_of

    return _lockfast.Lock.named(_name_of(function)).path


def _decorator(path: Any, around: Callable[[Any], Callable[[], Any]]) -> Any:
    """For a path, what decorates; for a function, the function under a lock named after it."""

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
    """The function runs alone."""

    def around(path: Any) -> Callable[[], Any]:
        lock = InterProcessLock(path)
        return lambda: lock

    return _decorator(path, around)


def interprocess_read_locked(path: Any) -> Any:
    """The function runs beside other readers."""
    return _decorator(path, lambda path: InterProcessReaderWriterLock(path).read_lock)


def interprocess_write_locked(path: Any) -> Any:
    """The function runs alone, where others read."""
    return _decorator(path, lambda path: InterProcessReaderWriterLock(path).write_lock)
