"""A readers-writer lock between processes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

from lockfast import _errors
from lockfast._lockfast import forks
from lockfast.fasteners import _utils
from lockfast.fasteners._file_lock import (
    KERNEL_SLEEP,
    READS,
    WRITES,
    FileLock,
    is_about_opening,
    refused,
    unfit,
)
from lockfast.fasteners.process_mechanism import _interprocess_reader_writer_mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import Any, Callable

    from lockfast._lockfast import Hold

_get_ident = threading.get_ident


class _Share:
    """What a thread holds of a readers-writer lock."""

    __slots__ = ("exclusive", "forks", "hold")

    def __init__(self, hold: Hold, exclusive: bool) -> None:
        self.hold = hold
        self.exclusive = exclusive
        self.forks = forks()


class InterProcessReaderWriterLock(FileLock):
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
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it beside other readers; False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=False)

    def acquire_write_lock(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires it alone; False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=True)

    def _acquire(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
        exclusive: bool = True,
    ) -> bool:
        if delay < 0 or (timeout is not None and timeout < 0):
            raise unfit(delay)
        share = self._own_share()
        if share is not None:
            return self._convert(share, blocking, delay, max_delay, timeout, exclusive)
        if self._is_given:
            return self._acquire_by_hand(blocking, delay, max_delay, timeout, exclusive)
        sort = WRITES if exclusive else READS
        try:
            hold = self._take(sort, blocking, delay, max_delay, timeout)
        except _errors.LockError as error:
            if is_about_opening(error, self.path):
                return self._acquire_by_hand(blocking, delay, max_delay, timeout, exclusive)
            raise refused(self.path, error, "!") from error
        if hold is None:
            return False
        self._shares[_get_ident()] = _Share(hold, exclusive)
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
        if blocking and timeout is None and self.sleep_func is KERNEL_SLEEP:
            _interprocess_reader_writer_mechanism.lock(share.hold.fileno(), exclusive)
            share.exclusive = exclusive
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

        return bool(self._retry(delay, max_delay, watch)(attempt))

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
        retry = self._retry(delay, max_delay, watch)
        got = False
        try:
            got = retry(self._try_acquire, blocking, watch, exclusive)
        finally:
            if not got and not was_open:
                self._close_unless_given()
        if got:
            self._log_acquired(watch.elapsed(), retry.attempts)
        return bool(got)

    def _try_acquire(self, blocking: bool, watch: _utils.StopWatch, exclusive: bool) -> bool:
        try:
            got = _interprocess_reader_writer_mechanism.trylock(self.lockfile, exclusive)
        except Exception as error:
            raise refused(self.path, error, "!") from error
        if got:
            return True
        if not blocking or watch.expired():
            return False
        raise _utils.RetryAgain

    def _own_share(self) -> _Share | None:
        share = self._shares.get(_get_ident())
        if share is not None and share.forks != forks():
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
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
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
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
    ) -> Iterator[None]:
        """Writes in the block."""
        if not self.acquire_write_lock(blocking=True, delay=delay, max_delay=max_delay):
            raise threading.ThreadError(f"Unable to acquire lock on `{self.path!r}`")
        try:
            yield
        finally:
            self.release_write_lock()
