"""The exceptions, and what they tell."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Holder:
    """Who holds a lock, as far as it is known."""

    __slots__ = ("label", "pid", "since")

    def __init__(self, pid: int | None, label: str | None, since: float | None) -> None:
        self.pid: int | None = pid
        self.label: str | None = label
        #: As `time.time()` counts.
        self.since: float | None = since

    def __repr__(self) -> str:
        return f"Holder(pid={self.pid!r}, label={self.label!r}, since={self.since!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Holder, (self.pid, self.label, self.since)


class Owner:
    """Somebody who held a lock, as it wrote into the lock file."""

    __slots__ = ("host", "is_running", "label", "pid", "since", "token")

    def __init__(
        self,
        token: int,
        pid: int,
        host: str,
        label: str | None,
        since: float,
        is_running: bool | None,
    ) -> None:
        self.token: int = token
        self.pid: int = pid
        self.host: str = host
        self.label: str | None = label
        #: As `time.time()` counts.
        self.since: float = since
        #: Does that very process still run here? None if it ran elsewhere, or before a reboot.
        self.is_running: bool | None = is_running

    def __repr__(self) -> str:
        return (
            f"Owner(token={self.token}, pid={self.pid}, host={self.host!r}, label={self.label!r})"
        )


class LockError(OSError):
    """A lock could not be opened, taken or released."""

    #: Who holds it, if that is why and it is known.
    holder: Holder | None = None

    def __str__(self) -> str:
        # The text names the path already.
        return str(self.strerror) if self.strerror is not None else super().__str__()


class Timeout(LockError, TimeoutError):
    """The time has passed, and somebody else still holds it."""


class WouldBlock(LockError, BlockingIOError):
    """Somebody else holds it, and the attempt was not to wait."""


class Cancelled(LockError):
    """The wait was ended by a `CancelToken`."""


class Deadlock(LockError, RuntimeError):
    """The thread or the task holds it already, and would wait for itself for ever."""


class NotHeld(LockError, RuntimeError):
    """What is to be released is not held."""


class Unsupported(LockError):
    """The platform or the file system can't give what was asked for."""


class PermissionDenied(LockError, PermissionError):
    """The user may not open, create or lock the file."""


class InvalidPath(LockError, ValueError):
    """The path can't be a lock's: what stands there is a link, a directory, a device or a FIFO."""


class InvalidOption(LockError, ValueError):
    """What was chosen about the lock can't be, or does not go together."""


class NotFound(LockError, FileNotFoundError):
    """A directory of the path is not there."""


def rebuild(
    cls: Any,
    base: Any,
    origin: str | tuple[str, str],
    permits: int | None,
    options: dict[str, Any] | None,
) -> Any:
    """Opens a handle again, in the process that unpickles it, whatever `__init__` of its class takes."""
    if isinstance(origin, tuple):
        name, scope = origin
        positional = (name,) if permits is None else (name, permits)
        return cls.named(*positional, scope=scope, **(options or {}))
    lock = cls.__new__(cls)
    positional = (origin,) if permits is None else (origin, permits)
    base.__init__(lock, *positional, **(options or {}))
    return lock


def step() -> None:
    """Lets the interpreter do what it does between two steps: handle signals, and raise exceptions."""
