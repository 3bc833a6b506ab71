"""Several locks at once."""

from __future__ import annotations

from lockfast._lockfast import take_all, take_all_async, try_take_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from typing import Literal, Union

    from lockfast._lockfast import (
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
    """The guards of several locks, in the order of the locks; held until released or dropped."""

    __slots__ = ()

    def release(self) -> None:
        """Releases all of them; the first error is raised when that is done."""
        first = None
        for guard in self:
            try:
                guard.release()
            except OSError as error:
                first = first or error
        if first is not None:
            raise first

    def __enter__(self) -> Guards:
        return self

    def __exit__(self, *exception: object) -> None:
        for guard in self:
            guard.__exit__(None, None, None)


def lock_all(members: Iterable[Member], *, timeout: float | timedelta | None = None) -> Guards:
    """Takes all of these locks; if one can't be had, none is held.

    They are taken in the order of their paths, so two that take the same locks never wait for each other.
    A `RwLock` comes with how it is taken: `lock_all([lock, (cache, "read")])`.
    """
    return Guards(take_all(members, timeout))


def try_lock_all(members: Iterable[Member]) -> Guards:
    """The same without waiting."""
    return Guards(try_take_all(members))


def lock_all_async(
    members: Iterable[Member], *, timeout: float | timedelta | None = None
) -> Acquiring[Guards]:
    """The same as a task of asyncio."""
    from lockfast._tasks import Acquiring

    return Acquiring(take_all_async(members, timeout), Guards)
