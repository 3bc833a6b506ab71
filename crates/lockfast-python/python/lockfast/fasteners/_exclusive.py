"""An exclusive lock between processes."""

from __future__ import annotations

import errno
import os
import threading
import time

from lockfast._lockfast import Mode, generation
from lockfast.fasteners import _utils
from lockfast.fasteners._file_lock import FileLock, retry_or_refuse
from lockfast.fasteners.process_mechanism import _interprocess_mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, Callable

    from lockfast._lockfast import Hold
    from lockfast.fasteners._file_lock import Limit

_CONTENDED = (errno.EACCES, errno.EAGAIN)
_get_ident = threading.get_ident


class InterProcessLock(FileLock):
    """An exclusive lock between processes."""

    acquired: bool
    #: The thread and the process that open, try and close the file by hand: one at a time.
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
        self._generation = self._thread = -1

    def acquire(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires the lock. Returns False if another holder keeps it until the time has passed."""
        limit = (blocking, delay, max_delay, timeout)
        self._check(limit)
        # Methods that a program has replaced have to be called.
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
            return self._acquire_by_hand(Mode.Exclusive, limit)
        if self.acquired and self._is_mine():
            return True
        # Asked before the wait: what runs after it keeps the next waiter waiting.
        thread, process = _get_ident(), generation()
        hold = self._acquire_file(Mode.Exclusive, limit)
        if isinstance(hold, bool):
            return hold
        self._hold = hold
        self._generation = process
        self._thread = thread
        self.acquired = True
        return True

    def _acquire_by_hand(self, mode: Mode, limit: Limit) -> bool:
        got = False
        try:
            got, watch, attempts = self._retry(limit, self._try_acquire)
        finally:
            if not got and not self._is_mine() and self._claims():
                self._close_unless_given()
                del self._claim
        if not got:
            return False
        self._generation = generation()
        self._thread = _get_ident()
        self.acquired = True
        self._log_acquired(watch.elapsed(), attempts)
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
                    raise self._refused(error) from error
        return retry_or_refuse(blocking, watch)

    def _claims(self) -> bool:
        """Whether no other thread of this process has the file. Then none gets it from now on."""
        me = _get_ident(), generation()
        if self.acquired and self._generation == me[1] and self._thread != me[0]:
            return False
        # Atomic: of several threads, one sets it.
        claim = self.__dict__.setdefault("_claim", me)
        if claim[1] != me[1]:
            # The file is a forked child's copy of its parent's, and so is the lock.
            self._close_unless_given()
            self._claim = claim = me
        return bool(claim == me)

    def _is_mine(self) -> bool:
        """Whether this thread holds the lock. A forked child does not hold what its parent does."""
        return self.acquired and self._thread == _get_ident() and self._generation == generation()

    def _current_hold(self) -> Hold | None:
        return self._hold

    def release(self) -> None:
        """Releases the lock, however often it was acquired."""
        if not self.acquired:
            raise threading.ThreadError("Unable to release an unaquired lock")
        hold = self._hold
        if hold is not None:
            file = self._file
            # Before the release: the next holder sets them.
            self._file = self._hold = None
            self.acquired = False
            if file is not None:
                file.close()
            hold.release()
            self._log_released()
            return
        try:
            if self._generation == generation():
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
            # Last: another thread may open the file from now on.
            self.acquired = False
            self.__dict__.pop("_claim", None)

    def __enter__(self) -> InterProcessLock:
        if not self.acquire():
            # Without a timeout, only an overridden method ends like this.
            raise threading.ThreadError(f"Unable to acquire lock on `{self.path!r}`")
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def exists(self) -> bool:
        """Whether there is a lock file."""
        return os.path.exists(self.path)

    def trylock(self) -> None:
        """Makes one attempt to lock `lockfile`, which must be open."""
        _interprocess_mechanism.trylock(self.lockfile)

    def unlock(self) -> None:
        """Unlocks `lockfile` and leaves it open."""
        _interprocess_mechanism.unlock(self.lockfile)


_trylock, _unlock = InterProcessLock.trylock, InterProcessLock.unlock
_do_open = FileLock._do_open
