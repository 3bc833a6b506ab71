"""A readers-writer lock between processes."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

from lockfast._lockfast import Mode, generation
from lockfast.fasteners import _utils
from lockfast.fasteners._file_lock import KERNEL_SLEEP, FileLock, retry_or_refuse
from lockfast.fasteners.process_mechanism import _interprocess_reader_writer_mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import Any, Callable

    from lockfast._lockfast import Hold
    from lockfast.fasteners._file_lock import Limit

_get_ident = threading.get_ident


class _Share:
    """A thread's hold of a readers-writer lock."""

    __slots__ = ("exclusive", "generation", "hold")

    def __init__(self, hold: Hold, exclusive: bool) -> None:
        self.hold = hold
        self.exclusive = exclusive
        self.generation = generation()


class InterProcessReaderWriterLock(FileLock):
    """A readers-writer lock between processes."""

    _FILE_MODE = "a+"
    _END = "!"

    def __init__(
        self,
        path: Any,
        sleep_func: Callable[[float], Any] = time.sleep,
        logger: logging.Logger | None = None,
    ) -> None:
        super().__init__(path, sleep_func, logger)
        # By thread, so that each thread releases its own.
        self._shares: dict[int, _Share] = {}

    def acquire_read_lock(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires the lock to read, together with other readers. Returns False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=False)

    def acquire_write_lock(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
    ) -> bool:
        """Acquires the lock to write, alone. Returns False if the time has passed."""
        return self._acquire(blocking, delay, max_delay, timeout, exclusive=True)

    def _acquire(
        self,
        blocking: bool = True,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
        timeout: float | None = None,
        exclusive: bool = True,
    ) -> bool:
        limit = (blocking, delay, max_delay, timeout)
        self._check(limit)
        share = self._own_share()
        if share is not None:
            return self._convert(share, limit, exclusive)
        mode = Mode.Write if exclusive else Mode.Read
        if self._is_given:
            return self._acquire_by_hand(mode, limit)
        hold = self._acquire_file(mode, limit)
        if isinstance(hold, bool):
            return hold
        self._shares[_get_ident()] = _Share(hold, exclusive)
        return True

    def _convert(self, share: _Share, limit: Limit, exclusive: bool) -> bool:
        """Converts a reader into a writer or back. If that fails, the lock stays held as it was."""
        if share.exclusive == exclusive:
            return True
        blocking, _, _, timeout = limit
        descriptor = share.hold.fileno()
        if blocking and timeout is None and self.sleep_func is KERNEL_SLEEP:
            _interprocess_reader_writer_mechanism.lock(descriptor, exclusive)
            got = True
        else:
            got, _, _ = self._retry(limit, self._try_lock, descriptor, exclusive)
        if got:
            share.exclusive = exclusive
        return got

    def _acquire_by_hand(self, mode: Mode, limit: Limit) -> bool:
        was_open = self._file is not None
        self._do_open()
        got = False
        try:
            got, watch, attempts = self._retry(limit, self._try_acquire, mode == Mode.Write)
        finally:
            if not got and not was_open:
                self._close_unless_given()
        if got:
            self._log_acquired(watch.elapsed(), attempts)
        return bool(got)

    def _try_acquire(self, blocking: bool, watch: _utils.StopWatch, exclusive: bool) -> bool:
        try:
            return self._try_lock(blocking, watch, self.lockfile, exclusive)
        except _utils.RetryAgain:
            raise
        except Exception as error:
            raise self._refused(error) from error

    def _try_lock(
        self, blocking: bool, watch: _utils.StopWatch, file: Any, exclusive: bool
    ) -> bool:
        got = _interprocess_reader_writer_mechanism.trylock(file, exclusive)
        return got or retry_or_refuse(blocking, watch)

    def _own_share(self) -> _Share | None:
        share = self._shares.get(_get_ident())
        if share is not None and share.generation != generation():
            # A forked child does not hold what its parent does.
            return None
        return share

    def _current_hold(self) -> Hold | None:
        share = self._shares.get(_get_ident())
        return share.hold if share is not None else None

    def _take_share(self) -> _Share | None:
        share = self._shares.pop(_get_ident(), None)
        if share is None and self._shares:
            # Another thread than the one that acquired it releases it.
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
        """Releases the lock that this thread holds."""
        self._release()

    def release_write_lock(self) -> None:
        """Releases the lock that this thread holds."""
        self._release()

    @contextmanager
    def read_lock(
        self,
        delay: float = FileLock.DELAY_INCREMENT,
        max_delay: float = FileLock.MAX_DELAY,
    ) -> Iterator[None]:
        """Holds the lock to read in the block."""
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
        """Holds the lock to write in the block."""
        if not self.acquire_write_lock(blocking=True, delay=delay, max_delay=max_delay):
            raise threading.ThreadError(f"Unable to acquire lock on `{self.path!r}`")
        try:
            yield
        finally:
            self.release_write_lock()
