"""A file that lets the newest holder of a lock pass, and refuses earlier ones."""

from __future__ import annotations

import os

from lockfast._lockfast import Lock, fence_begin_epoch, fence_greatest, fence_pass, fence_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Union

    from lockfast._group import MemberGuard
    from lockfast._lockfast import CancelToken, LockGuard, ReentrantLockGuard

    Guard = Union[MemberGuard, ReentrantLockGuard]


class Token:
    """A fencing token with its epoch. Tokens of different epochs can't be compared."""

    __slots__ = ("epoch", "number")

    def __init__(self, epoch: int, number: int) -> None:
        self.epoch: int = epoch
        #: Greater in each later hold.
        self.number: int = number

    @classmethod
    def from_env(cls) -> Token | None:
        """Returns the token that `lockfast run --on` passes to its command; None if there is none."""
        try:
            return cls(int(os.environ["LOCKFAST_EPOCH"]), int(os.environ["LOCKFAST_TOKEN"]))
        except (KeyError, ValueError):
            return None

    def is_older_than(self, other: Token) -> bool | None:
        """Whether this is of an earlier hold than that; None if they are of different epochs."""
        return self.number < other.number if self.epoch == other.epoch else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        return (self.epoch, self.number) == (other.epoch, other.number)

    def __hash__(self) -> int:
        return hash((self.epoch, self.number))

    def __repr__(self) -> str:
        return f"Token(epoch={self.epoch}, number={self.number})"


class Fence:
    """A file beside a resource that stores the greatest token that has passed, and refuses smaller ones.

    A lock on a server can be lost while its holder is stopped, and the holder goes on before it can ask.
    A fence is where the resource is, so it decides at the right time. All who write the resource must pass.
    It works for processes of one machine, as a local lock does.
    """

    __slots__ = ("_lock",)

    def __init__(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        self._lock: Lock = Lock(path)

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        return self._lock.path

    def pass_(
        self,
        holder: Guard | Token,
        *,
        timeout: float | timedelta | None = None,
        cancel: CancelToken | None = None,
    ) -> LockGuard:
        """Lets the holder pass if no later one has passed, and remembers its token.

        Waits while another one is at the resource: nobody else passes until the result is released, at the
        end of a `with` block or by `release()`. Raises `NotHeld` if a later holder has passed, so that this
        one has lost its lock; `InvalidOption` if it has no token, or one of another epoch; Timeout or
        Cancelled.
        """
        token = self._token_of(holder)
        return self._passed(self._lock.acquire(timeout=timeout, cancel=cancel), token)

    async def pass_async(
        self, holder: Guard | Token, *, timeout: float | timedelta | None = None
    ) -> LockGuard:
        """Lets the holder pass, as `pass_` does, and waits as a task of asyncio."""
        token = self._token_of(holder)
        return self._passed(await self._lock.acquire_async(timeout=timeout), token)

    def greatest(self) -> Token | None:
        """The greatest token that has passed; None if none has. Waits while one is at the resource."""
        with self._lock.acquire() as guard:
            greatest = fence_greatest(guard)
        return None if greatest is None else Token(*greatest)

    def begin_epoch(self, epoch: int) -> None:
        """Lets only tokens of that epoch pass from now on, from the smallest on.

        For an operator who has made sure that no holder of the epoch before is left.
        """
        with self._lock.acquire() as guard:
            fence_begin_epoch(guard, epoch)

    def _token_of(self, holder: Guard | Token) -> tuple[int, int]:
        if isinstance(holder, Token):
            return fence_token(self._lock, holder.epoch, holder.number)
        if not holder.is_held:
            # It says that the guard was released.
            holder.check()
        return fence_token(self._lock, holder.epoch, holder.token)

    def _passed(self, guard: LockGuard, token: tuple[int, int]) -> LockGuard:
        try:
            fence_pass(guard, token)
        except BaseException:
            guard.release()
            raise
        return guard

    def __repr__(self) -> str:
        return f"<lockfast.Fence {self.path}>"
