"""The part that both locks between processes share: the file, and the attributes that programs look at."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time

from lockfast import _errors
from lockfast._lockfast import Mode, Opener
from lockfast.fasteners import _utils

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from lockfast._lockfast import Hold

    #: The arguments of an acquire: blocking, delay, max_delay and timeout.
    Limit = tuple[bool, float, float, Optional[float]]

LOG = logging.getLogger("fasteners.process_lock")

# Where eventlet or gevent has replaced `time.sleep`, the replacement has to be called.
KERNEL_SLEEP: Any = time.sleep if isinstance(time.sleep, type(len)) else None


def _ensure_tree(path: bytes) -> bool:
    """Creates the directories. Returns whether there was anything to create."""
    try:
        os.makedirs(path)
    except OSError as error:
        if error.errno == errno.EISDIR or (error.errno == errno.EEXIST and os.path.isdir(path)):
            return False
        raise
    return True


def is_about_opening(error: _errors.LockError, path: bytes) -> bool:
    """Whether opening the file in Python fails too, with the message that fasteners has."""
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


def retry_or_refuse(blocking: bool, watch: _utils.StopWatch) -> bool:
    """Ends an attempt that found the lock held: by another attempt, or by False if the time has passed."""
    if blocking and not watch.expired():
        raise _utils.RetryAgain
    return False


class FileLock:
    """The part that both locks share."""

    MAX_DELAY = 0.1
    DELAY_INCREMENT = 0.01

    #: The mode in which Python opens the file.
    _FILE_MODE = "a"
    #: The last character of the message of a failed acquire.
    _END = ""

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
        """The locked file as an object of Python, or the file that the program assigned."""
        if self._file is None:
            hold = self._current_hold()
            if hold is not None:
                # A copy of the descriptor: closing it does nothing to the lock.
                self._file = os.fdopen(os.dup(hold.fileno()), self._FILE_MODE)
        return self._file

    @lockfile.setter
    def lockfile(self, file: Any) -> None:
        self._file = file
        self._is_given = file is not None

    def _check(self, limit: Limit) -> None:
        _, delay, _, timeout = limit
        if delay < 0 or (timeout is not None and timeout < 0):
            what = "Delay" if delay < 0 else "Timeout"
            raise ValueError(f"{what} must be greater than or equal to zero")

    def _acquire_file(self, mode: Mode, limit: Limit) -> Hold | bool:
        """Returns the open and locked file, or whether it was acquired by hand."""
        try:
            return self._take(mode, limit) or False
        except _errors.LockError as error:
            if not is_about_opening(error, self.path):
                raise self._refused(error) from error
        return self._acquire_by_hand(mode, limit)

    def _acquire_by_hand(self, mode: Mode, limit: Limit) -> bool:
        raise NotImplementedError

    def _take(self, mode: Mode, limit: Limit) -> Hold | None:
        """Returns the open and locked file; None if the lock is held until the wait ends."""
        blocking, _, _, timeout = limit
        is_logged = self.logger.isEnabledFor(_utils.BLATHER)
        waits_in_kernel = not blocking or self.sleep_func is KERNEL_SLEEP
        if waits_in_kernel and not is_logged:
            return self._opener.take(self.path, mode, blocking, timeout)
        directory = os.path.dirname(self.path)
        is_new = is_logged and directory and not os.path.isdir(directory)
        hold: Any
        if waits_in_kernel:
            watch, attempts = _utils.StopWatch(duration=timeout).start(), 1
            hold = self._opener.take(self.path, mode, blocking, timeout)
        else:

            def attempt(blocking: bool, watch: _utils.StopWatch) -> Any:
                hold = self._opener.take(self.path, mode, False)
                return hold if hold is not None else retry_or_refuse(blocking, watch)

            hold, watch, attempts = self._retry(limit, attempt)
        if is_new:
            self.logger.log(_utils.BLATHER, "Created lock base path `%s`", directory)
        if hold:
            self._log_acquired(watch.elapsed(), attempts)
        return hold or None

    def _retry(
        self, limit: Limit, attempt: Callable[..., Any], *arguments: Any
    ) -> tuple[Any, _utils.StopWatch, int]:
        """Repeats the attempt until it raises no `RetryAgain`. Returns the number of attempts too."""
        blocking, delay, max_delay, timeout = limit
        watch = _utils.StopWatch(duration=timeout).start()
        longest = max(delay, max_delay)
        retry = _utils.Retry(delay, longest, sleep_func=self.sleep_func, watch=watch)
        return retry(attempt, blocking, watch, *arguments), watch, retry.attempts

    def _refused(self, error: BaseException) -> RuntimeError:
        text: Any = error
        if isinstance(error, _errors.LockError) and error.errno is not None:
            text = OSError(error.errno, os.strerror(error.errno))
        return threading.ThreadError(
            f"Unable to acquire lock on `{self.path!r}` due to {text}{self._END}"
        )

    def _do_open(self) -> None:
        directory = os.path.dirname(self.path)
        if directory and _ensure_tree(directory):
            self.logger.log(_utils.BLATHER, "Created lock base path `%s`", directory)
        if self._file is None or self._file.closed:
            self._file = open(self.path, self._FILE_MODE)
            self._is_given = False

    def _do_close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._is_given = False

    def _close_unless_given(self) -> None:
        """Closes the file after an acquire that failed."""
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
