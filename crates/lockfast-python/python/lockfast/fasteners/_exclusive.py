"""An exclusive lock between processes."""

from __future__ import annotations

import errno
import os
import threading
import time

from lockfast import _errors
from lockfast._lockfast import forks
from lockfast.fasteners import _utils
from lockfast.fasteners._file_lock import (
    ALONE,
    FileLock,
    is_about_opening,
    refused,
    unfit,
)
from lockfast.fasteners.process_mechanism import _interprocess_mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, Callable

    from lockfast._lockfast import Hold

_CONTENDED = (errno.EACCES, errno.EAGAIN)
_get_ident = threading.get_ident


class InterProcessLock(FileLock):
    """An exclusive lock between processes."""

    acquired: bool
    #: By hand, the file is opened, tried and closed by one thread at a time: thread and number of forks.
    _claim: tuple[int, int]

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
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it; False if somebody else holds it until the time has passed."""
        if delay < 0 or (timeout is not None and timeout < 0):
            raise unfit(delay)
        # What a program may have its own of has to be called.
        cls = type(self)
        own = self.__dict__
        if (
            self._is_given
            or cls.trylock is not _trylock
            or cls.unlock is not _unlock
            or cls._do_open is not _do_open
            or "trylock" in own
            or "unlock" in own
        ):
            return self._acquire_by_hand(blocking, delay, max_delay, timeout)
        if self.acquired and self._is_mine():
            return True
        # Before the wait: what comes after it makes the next one wait.
        thread, count = _get_ident(), forks()
        try:
            hold = self._take(ALONE, blocking, delay, max_delay, timeout)
        except _errors.LockError as error:
            if is_about_opening(error, self.path):
                return self._acquire_by_hand(blocking, delay, max_delay, timeout)
            raise refused(self.path, error, "") from error
        if hold is None:
            return False
        self._hold = hold
        self._forks = count
        self._thread = thread
        self.acquired = True
        return True

    def _acquire_by_hand(
        self, blocking: bool, delay: float, max_delay: float, timeout: float | None
    ) -> bool:
        watch = _utils.StopWatch(duration=timeout).start()
        retry = self._retry(delay, max_delay, watch)
        got = False
        try:
            got = retry(self._try_acquire, blocking, watch)
        finally:
            if not got and not self._is_mine() and self._claims():
                self._close_unless_given()
                del self._claim
        if not got:
            return False
        self._forks = forks()
        self._thread = _get_ident()
        self.acquired = True
        self._log_acquired(watch.elapsed(), retry.attempts)
        return True

    def _try_acquire(self, blocking: bool, watch: _utils.StopWatch) -> bool:
        if self._claims():
            if self._file is None or self._file.closed:
                self._do_open()
            try:
                self.trylock()
                return True
            except OSError as error:
                if error.errno not in _CONTENDED:
                    raise refused(self.path, error, "") from error
        if not blocking or watch.expired():
            return False
        raise _utils.RetryAgain

    def _claims(self) -> bool:
        """No other thread of this process has the file, nor gets it from now on."""
        me = _get_ident(), forks()
        if self.acquired and self._forks == me[1] and self._thread != me[0]:
            return False
        # This is one step, whatever other threads do.
        claim = self.__dict__.setdefault("_claim", me)
        if claim[1] != me[1]:
            # A forked child has its parent's file, with which goes its parent's lock.
            self._close_unless_given()
            self._claim = claim = me
        return bool(claim == me)

    def _is_mine(self) -> bool:
        """Does this thread hold it? A forked child does not hold what its parent does."""
        return self.acquired and self._thread == _get_ident() and self._forks == forks()

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
            if self._forks == forks():
                self.unlock()
        except Exception as error:
            text = "Could not unlock the acquired lock opened on `%s`"
            self.logger.exception(text, self.path)
            raise threading.ThreadError(text % (self.path,)) from error
        try:
            self._do_close()
        except OSError:
            self.logger.exception("Could not close the file handle opened on `%s`", self.path)
        else:
            self._log_released()
        finally:
            # Another thread opens the file then.
            self.acquired = False
            self.__dict__.pop("_claim", None)

    def __enter__(self) -> InterProcessLock:
        if not self.acquire():
            # It waits for ever, so there is no other end.
            raise threading.ThreadError(f"Unable to acquire lock on `{self.path!r}`")
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
_do_open = FileLock._do_open
