"""Several locks at once."""

from __future__ import annotations

from lockfast._lockfast import take_all, take_all_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from typing import Literal, Union

    from lockfast._lockfast import (
        CancelToken,
        Lock,
        LockGuard,
        RwLock,
        RwLockReadGuard,
        RwLockUpgradableReadGuard,
        RwLockWriteGuard,
        Semaphore,
        SemaphorePermit,
    )
    from lockfast._tasks import Acquiring

    Member = Union[Lock, Semaphore, tuple[RwLock, Literal["read", "upgradable_read", "write"]]]
    MemberGuard = Union[
        LockGuard,
        RwLockReadGuard,
        RwLockUpgradableReadGuard,
        RwLockWriteGuard,
        SemaphorePermit,
    ]


class Guards(tuple["MemberGuard", ...]):
    """The guards of several locks, in the order of the locks. The locks are held until `release()`."""

    __slots__ = ()

    @property
    def _is_on_server(self) -> bool:
        return any(guard._is_on_server for guard in self)

    def release(self) -> None:
        """Releases all of them, and then raises the first error."""
        first = None
        for guard in self:
            try:
                guard.release()
            except OSError as error:
                first = first or error
        if first is not None:
            raise first

    def __enter__(self) -> Guards:
        for guard in self:
            if guard.is_held:
                guard.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        for guard in self:
            guard.__exit__(None, None, None)


def lock_all(
    members: Iterable[Member],
    *,
    blocking: bool = True,
    timeout: float | timedelta | None = None,
    cancel: CancelToken | None = None,
) -> Guards:
    """Takes all of these locks and holds them until `release()`. If it can't take all, it holds none.

    Takes them in the order of their paths, so that two callers that take the same locks never deadlock.
    An `RwLock` comes with the way to take it: `lock_all([lock, (cache, "read")])`.
    """
    return Guards(take_all(members, blocking, timeout, cancel))


def try_lock_all(members: Iterable[Member]) -> Guards:
    """Takes all of these locks if that needs no wait; else raises WouldBlock."""
    return Guards(take_all(members, False, None, None))


def lock_all_async(
    members: Iterable[Member], *, timeout: float | timedelta | None = None
) -> Acquiring[Guards]:
    """Takes all of these locks, as a task of asyncio."""
    from lockfast._tasks import Acquiring

    return Acquiring(take_all_async(members, timeout), "lock_all_async", Guards)
