import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Generic, Literal, Protocol, TypedDict, TypeVar, final

from typing_extensions import Self, Unpack

from lockfast._errors import Owner
from lockfast._group import Member, MemberGuard
from lockfast._inspect import Report
from lockfast._tasks import Acquiring
from lockfast._waits import Waiting

__version__: str

_G = TypeVar("_G")
_G_co = TypeVar("_G_co", covariant=True)
_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_Timeout = float | timedelta | None

class _Options(TypedDict, total=False):
    mode: int | None
    create_dirs: bool
    follow_symlinks: bool
    any_owner: bool
    protocol: Literal["fcntl", "flock", "both"]
    verify: Literal["links", "path", "off"]
    fairness: Literal["barging", "fifo"]
    linger: float | timedelta | None
    remove_on_release: bool
    owner_record: bool
    label: str | None
    on_wait: Callable[[Waiting], object] | None
    wait_interval: float | timedelta | None

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

@final
class CancelToken:
    def __new__(cls) -> Self: ...
    def cancel(self) -> None: ...
    @property
    def is_cancelled(self) -> bool: ...

class _Guard:
    @property
    def is_held(self) -> bool: ...
    @property
    def path(self) -> str: ...
    def is_current(self) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

class _FileGuard(_Guard):
    def fileno(self) -> int: ...

class _SendGuard(_FileGuard):
    def hand_over(self) -> None: ...

class _RecordGuard(_FileGuard):
    @property
    def token(self) -> int | None: ...
    @property
    def abandoned(self) -> Owner | None: ...

@final
class LockGuard(_SendGuard, _RecordGuard): ...

@final
class RwLockReadGuard(_SendGuard): ...

@final
class RwLockUpgradableReadGuard(_SendGuard):
    def upgrade(
        self,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> RwLockWriteGuard: ...
    def upgrade_async(self, *, timeout: _Timeout = None) -> Acquiring[RwLockWriteGuard]: ...
    def try_upgrade(self) -> RwLockWriteGuard: ...
    def downgrade(self) -> RwLockReadGuard: ...

@final
class RwLockWriteGuard(_SendGuard, _RecordGuard):
    def downgrade(self) -> RwLockReadGuard: ...
    def downgrade_to_upgradable(self) -> RwLockUpgradableReadGuard: ...

@final
class ReentrantLockGuard(_RecordGuard):
    @property
    def depth(self) -> int: ...

@final
class SemaphorePermit(_Guard):
    @property
    def count(self) -> int: ...

class _Handle:
    @property
    def path(self) -> str: ...
    def release(self) -> None: ...

class _LockHandle(_Handle):
    def __init__(self, path: _Path, **options: Unpack[_Options]) -> None: ...
    @classmethod
    def named(
        cls,
        name: str,
        *,
        scope: Literal["user", "machine"] = "user",
        **options: Unpack[_Options],
    ) -> Self: ...

class _FileHandle(_LockHandle):
    @classmethod
    def from_file(cls, file: int | _HasFileno, **options: Unpack[_Options]) -> Self: ...

class _BlockHandle(_Handle, Generic[_G_co]):
    def __enter__(self) -> _G_co: ...
    def __exit__(self, *_exception: object) -> None: ...

class _TaskBlockHandle(_BlockHandle[_G_co]):
    async def __aenter__(self) -> _G_co: ...
    async def __aexit__(self, *_exception: object) -> None: ...

class _ExclusiveHandle(_LockHandle, Generic[_G_co]):
    def acquire(
        self,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> _G_co: ...
    def try_acquire(self) -> _G_co: ...

class Lock(_FileHandle, _ExclusiveHandle[LockGuard], _TaskBlockHandle[LockGuard]):
    def acquire_async(self, *, timeout: _Timeout = None) -> Acquiring[LockGuard]: ...

class ReentrantLock(_ExclusiveHandle[ReentrantLockGuard], _BlockHandle[ReentrantLockGuard]): ...

class RwLock(_FileHandle):
    def read(
        self,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> RwLockReadGuard: ...
    def try_read(self) -> RwLockReadGuard: ...
    def read_async(self, *, timeout: _Timeout = None) -> Acquiring[RwLockReadGuard]: ...
    def upgradable_read(
        self,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> RwLockUpgradableReadGuard: ...
    def try_upgradable_read(self) -> RwLockUpgradableReadGuard: ...
    def upgradable_read_async(
        self, *, timeout: _Timeout = None
    ) -> Acquiring[RwLockUpgradableReadGuard]: ...
    def write(
        self,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> RwLockWriteGuard: ...
    def try_write(self) -> RwLockWriteGuard: ...
    def write_async(self, *, timeout: _Timeout = None) -> Acquiring[RwLockWriteGuard]: ...

class Semaphore(_TaskBlockHandle[SemaphorePermit]):
    def __init__(self, path: _Path, permits: int, **options: Unpack[_Options]) -> None: ...
    @classmethod
    def named(
        cls,
        name: str,
        permits: int,
        *,
        scope: Literal["user", "machine"] = "user",
        **options: Unpack[_Options],
    ) -> Self: ...
    def acquire(
        self,
        count: int = 1,
        *,
        blocking: bool = True,
        timeout: _Timeout = None,
        cancel: CancelToken | None = None,
    ) -> SemaphorePermit: ...
    def try_acquire(self, count: int = 1) -> SemaphorePermit: ...
    def acquire_async(
        self, count: int = 1, *, timeout: _Timeout = None
    ) -> Acquiring[SemaphorePermit]: ...
    def available(self) -> int: ...
    @property
    def permits(self) -> int: ...

@final
class Pending(Generic[_G]):
    @property
    def timeout(self) -> float | None: ...
    def poll(self, wake: Callable[[], None], task: object, is_block: bool) -> _G | None: ...
    def close(self, error: BaseException | None = None) -> None: ...
    def expire(self, task: object, is_block: bool) -> _G: ...

@final
class Hold:
    def release(self) -> None: ...
    def fileno(self) -> int: ...

@final
class Mode:
    Exclusive: Mode
    Read: Mode
    Write: Mode

@final
class Opener:
    def take(
        self, path: bytes, mode: Mode, blocking: bool = True, timeout: float | None = None
    ) -> Hold | None: ...

def inspect(path: _Path | None = None) -> Report: ...
def take_all(
    members: Iterable[Member], blocking: bool, timeout: _Timeout, cancel: CancelToken | None
) -> list[MemberGuard]: ...
def take_all_async(members: Iterable[Member], timeout: _Timeout) -> Pending[list[MemberGuard]]: ...
def generation() -> int: ...
