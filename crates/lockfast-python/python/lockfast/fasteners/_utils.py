"""Names that the modules of fasteners share and that its tests use."""

from __future__ import annotations

import logging
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

LOG = logging.getLogger("fasteners._utils")

#: The level of the messages of acquires and releases, below `DEBUG`.
BLATHER = 5


def pick_first_not_none(*values: Any) -> Any:
    """Returns the first value that is not None."""
    return next((value for value in values if value is not None), None)


def canonicalize_path(path: Any) -> bytes:
    """Returns the path as bytes."""
    if isinstance(path, bytes):
        return path
    return os.fsencode(path if isinstance(path, str) else str(path))


class StopWatch:
    """Measures the time since its start, and whether that is more than a duration."""

    def __init__(self, duration: float | None = None) -> None:
        self.duration = duration
        self.started_at: float | None = None
        self.stopped_at: float | None = None

    def start(self) -> StopWatch:
        self.started_at = time.monotonic()
        self.stopped_at = None
        return self

    def elapsed(self) -> float:
        if self.started_at is None:
            raise RuntimeError("Can not get the elapsed time of a stopwatch that was not started")
        end = time.monotonic() if self.stopped_at is None else self.stopped_at
        return max(0.0, end - self.started_at)

    def leftover(self) -> float | None:
        """Returns the rest of the duration, or None without a duration."""
        if self.duration is None:
            return None
        return max(0.0, self.duration - self.elapsed())

    def expired(self) -> bool:
        return self.duration is not None and self.elapsed() > self.duration

    def __enter__(self) -> StopWatch:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stopped_at = time.monotonic()


class RetryAgain(Exception):
    """The attempt failed, but the next one may succeed."""


class Retry:
    """Calls a function until it does not raise `RetryAgain`, and sleeps longer each time."""

    def __init__(
        self,
        delay: float,
        max_delay: float,
        sleep_func: Callable[[float], Any] = time.sleep,
        watch: StopWatch | None = None,
    ) -> None:
        self.delay = delay
        self.max_delay = max_delay
        self.sleep_func = sleep_func
        self.watch = watch
        self.attempts = 0

    def __call__(self, attempt: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        while True:
            self.attempts += 1
            try:
                return attempt(*arguments, **keywords)
            except RetryAgain:
                pass
            pause = min(self.attempts * self.delay, self.max_delay)
            left = self.watch.leftover() if self.watch is not None else None
            if left is not None:
                pause = min(pause, left)
            self.sleep_func(max(0, pause))


class LockStack:
    """Several locks, which are released in reverse order."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = pick_first_not_none(logger, LOG)
        self._stack: list[Any] = []

    def acquire_lock(self, lock: Any) -> bool:
        """Acquires the lock. If that fails, the locks before it stay acquired."""
        got = lock.acquire()
        if got:
            self._stack.append(lock)
        return bool(got)

    def __enter__(self) -> LockStack:
        return self

    def __exit__(self, *exception: object) -> None:
        count = len(self._stack)
        while self._stack:
            lock = self._stack.pop()
            try:
                lock.release()
            except Exception:
                self._logger.exception(
                    "Failed releasing lock %s from lock stack with %s locks",
                    len(self._stack) + 1,
                    count,
                )
