"""The exceptions, and the objects in them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Holder:
    """The holder of a lock, as far as it is known."""

    __slots__ = ("host", "label", "pid", "since")

    def __init__(
        self,
        pid: int | None,
        label: str | None,
        since: float | None,
        host: str | None = None,
    ) -> None:
        self.pid: int | None = pid
        #: The machine that it runs on, if a server keeps the lock.
        self.host: str | None = host
        self.label: str | None = label
        #: The time of the acquire, as `time.time()` counts.
        self.since: float | None = since

    def __repr__(self) -> str:
        host = "" if self.host is None else f", host={self.host!r}"
        return f"Holder(pid={self.pid!r}, label={self.label!r}, since={self.since!r}{host})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Holder, (self.pid, self.label, self.since, self.host)


class Owner:
    """An owner of a lock, by the record that it wrote into the lock file."""

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
        #: The time of the acquire, as `time.time()` counts.
        self.since: float = since
        #: Whether that process still runs here; None if it ran elsewhere, or before a reboot.
        self.is_running: bool | None = is_running

    def __repr__(self) -> str:
        return (
            f"Owner(token={self.token}, pid={self.pid}, host={self.host!r}, label={self.label!r})"
        )


class LockError(OSError):
    """A lock could not be opened, taken or released."""

    #: The holder, if the lock is held and it is known.
    holder: Holder | None = None

    def __str__(self) -> str:
        # The text already names the path.
        return str(self.strerror) if self.strerror is not None else super().__str__()


class Timeout(LockError, TimeoutError):
    """The time has passed, and the lock is still held."""


class WouldBlock(LockError, BlockingIOError):
    """The lock is held, and the attempt does not wait."""


class Cancelled(LockError):
    """A `CancelToken` ended the wait."""


class Deadlock(LockError, RuntimeError):
    """The thread or the task already holds the lock, and would wait for itself forever."""


class NotHeld(LockError, RuntimeError):
    """The lock to release is not held, or was lost."""


class Unreachable(LockError, ConnectionError):
    """The server of a space can't be reached."""


class Unsupported(LockError):
    """The platform, the file system or the engine of a space does not support what was asked for."""


class PermissionDenied(LockError, PermissionError):
    """The user has no permission to open, create or lock the file."""


class InvalidPath(LockError, ValueError):
    """There is a link, a directory, a device or a FIFO at the path, or no lock can have that name."""


class InvalidOption(LockError, ValueError):
    """An option has a value that is not allowed, or options exclude each other."""


class NotFound(LockError, FileNotFoundError):
    """A directory of the path does not exist."""


def rebuild(
    cls: Any,
    base: Any,
    origin: str | tuple[str, str],
    permits: int | None,
    options: dict[str, Any] | None,
) -> Any:
    """Opens a handle in the process that unpickles it, whatever arguments `__init__` of its class has."""
    if isinstance(origin, tuple):
        name, scope = origin
        positional = (name,) if permits is None else (name, permits)
        return cls.named(*positional, scope=scope, **(options or {}))
    lock = cls.__new__(cls)
    positional = (origin,) if permits is None else (origin, permits)
    base.__init__(lock, *positional, **(options or {}))
    return lock


def step() -> None:
    """Lets the interpreter run signal handlers and raise exceptions, as between any two steps."""
