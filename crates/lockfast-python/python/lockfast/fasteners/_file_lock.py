"""What both locks between processes have: the file, and what programs may look at."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time

from lockfast import _errors
from lockfast._lockfast import Opener
from lockfast.fasteners import _utils

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from lockfast._lockfast import Hold

LOG = logging.getLogger("fasteners.process_lock")

#: For `Opener.take`: how the file is locked, and that nobody waits for it.
ALONE, READS, WRITES = 0, 1, 2
NOT_AT_ALL = -1.0

# A program that was made green (eventlet, gevent) has another `time.sleep`, which must be the one that
# sleeps.
KERNEL_SLEEP: Any = time.sleep if isinstance(time.sleep, type(len)) else None


def _ensure_tree(path: bytes) -> bool:
    """Creates the directories; was there anything to create?"""
    try:
        os.makedirs(path)
    except OSError as error:
        if error.errno == errno.EISDIR or (error.errno == errno.EEXIST and os.path.isdir(path)):
            return False
        raise
    return True


def unfit(delay: float) -> ValueError:
    """Why a delay and a time-out that can't be are refused."""
    what = "Delay" if delay < 0 else "Timeout"
    return ValueError(f"{what} must be greater than or equal to zero")


def is_about_opening(error: _errors.LockError, path: bytes) -> bool:
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


def refused(path: bytes, error: BaseException, end: str) -> RuntimeError:
    text: Any = error
    if isinstance(error, _errors.LockError) and error.errno is not None:
        text = OSError(error.errno, os.strerror(error.errno))
    return threading.ThreadError(f"Unable to acquire lock on `{path!r}` due to {text}{end}")


class FileLock:
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

    def _take(
        self,
        sort: int,
        blocking: bool,
        delay: float,
        max_delay: float,
        timeout: float | None,
    ) -> Hold | None:
        """The file open and locked; None if somebody else has it until the time has passed."""
        is_logged = self.logger.isEnabledFor(_utils.BLATHER)
        if not is_logged and (not blocking or self.sleep_func is KERNEL_SLEEP):
            return self._opener.take(self.path, sort, timeout if blocking else NOT_AT_ALL)
        directory = os.path.dirname(self.path)
        is_new = is_logged and directory and not os.path.isdir(directory)
        watch = _utils.StopWatch(duration=timeout).start()

        def attempt() -> Hold | None:
            hold = self._opener.take(self.path, sort, NOT_AT_ALL)
            if hold is None and blocking and not watch.expired():
                raise _utils.RetryAgain
            return hold

        hold: Hold | None
        if blocking and self.sleep_func is KERNEL_SLEEP:
            attempts = 1
            hold = self._opener.take(self.path, sort, timeout)
        else:
            retry = self._retry(delay, max_delay, watch)
            hold = retry(attempt)
            attempts = retry.attempts
        if is_new:
            self.logger.log(_utils.BLATHER, "Created lock base path `%s`", directory)
        if hold is not None:
            self._log_acquired(watch.elapsed(), attempts)
        return hold

    def _retry(self, delay: float, max_delay: float, watch: _utils.StopWatch) -> _utils.Retry:
        longest = max(delay, max_delay)
        return _utils.Retry(delay, longest, sleep_func=self.sleep_func, watch=watch)

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
        if self.logger.isEnabledFor(_utils.BLATHER):
            text = "Unlocked and closed file lock open on `%s`"
            self.logger.log(_utils.BLATHER, text, self.path)
