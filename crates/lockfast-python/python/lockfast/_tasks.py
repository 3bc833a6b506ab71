"""Waits of tasks of asyncio. (Imported by the first of them: asyncio takes its time.)"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lockfast._lockfast import Pending

G = TypeVar("G")


class Acquiring(Generic[G]):
    """To be awaited for the guard, or entered by `async with`."""

    __slots__ = ("_finish", "_guard", "_pending")

    def __init__(self, pending: Pending[Any], finish: Callable[[Any], G] | None = None) -> None:
        self._pending = pending
        self._finish = finish
        self._guard: Any = None

    def __await__(self) -> Generator[Any, None, G]:
        return self._wait().__await__()

    async def __aenter__(self) -> G:
        self._guard = await self._wait()
        return self._guard  # type: ignore[no-any-return]

    async def _wait(self) -> G:
        guard = await wait(self._pending)
        return guard if self._finish is None else self._finish(guard)

    async def __aexit__(self, *exception: object) -> None:
        self._guard.__exit__(*exception)


async def wait(pending: Pending[G]) -> G:
    """The guard. However this ends, nothing of the wait is left behind."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    is_over = False
    turn: asyncio.Future[None]

    def go_on() -> None:
        if not turn.done():
            turn.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(go_on)
        except RuntimeError:
            pass  # The loop is closed: nobody waits any more.

    def expire() -> None:
        nonlocal is_over
        is_over = True
        go_on()

    try:
        while True:
            turn = loop.create_future()
            guard = pending.poll(wake)
            if guard is not None:
                return guard
            if is_over:
                raise pending.timed_out()
            if timer is None and pending.timeout is not None:
                timer = loop.call_later(pending.timeout, expire)
            await turn
    finally:
        if timer is not None:
            timer.cancel()
        pending.close()


async def enter(lock: Any, pending: Pending[G]) -> G:
    """What `async with lock` does at its begin."""
    guard = await wait(pending)
    lock._entered(id(asyncio.current_task()), guard)
    return guard


async def leave(lock: Any) -> None:
    """What `async with lock` does at its end."""
    lock._left(id(asyncio.current_task()))
