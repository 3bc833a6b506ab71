"""Waits of tasks of asyncio. (Imported by the first one, as asyncio takes long to import.)"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lockfast._lockfast import Pending

G = TypeVar("G")


class Acquiring(Coroutine[Any, Any, G]):
    """A wait for a lock: a coroutine that returns the guard, and a context manager for `async with`.

    As with any coroutine, Python warns if it is never awaited. Then nothing is locked.
    """

    __slots__ = ("_coroutine", "_guard")

    def __init__(
        self, pending: Pending[Any], name: str, finish: Callable[[Any], G] | None = None
    ) -> None:
        coroutine: Any = _acquire(pending, finish)
        coroutine.__name__ = name.rpartition(".")[2]
        coroutine.__qualname__ = name
        self._coroutine: Coroutine[Any, Any, G] = coroutine
        self._guard: Any = None

    def __await__(self) -> Generator[Any, None, G]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *exception: Any) -> Any:
        return self._coroutine.throw(*exception)

    def close(self) -> None:
        self._coroutine.close()

    async def __aenter__(self) -> G:
        self._guard = await self._coroutine
        return self._guard  # type: ignore[no-any-return]

    async def __aexit__(self, *exception: object) -> None:
        guard = self._guard
        await release(guard, exception[0], lambda: guard.__exit__(*exception))

    def __getattr__(self, name: str) -> Any:
        # For debuggers: `__name__`, `cr_frame` and the like.
        if name == "_coroutine":
            raise AttributeError(name)
        return getattr(self._coroutine, name)


async def _acquire(pending: Pending[Any], finish: Callable[[Any], G] | None) -> G:
    guard = await wait(pending, False)
    return guard if finish is None else finish(guard)


async def wait(pending: Pending[G], is_block: bool) -> G:
    """Returns the guard. However this ends, nothing is left of the wait."""
    loop = asyncio.get_running_loop()
    # A caller that is no task of asyncio is a task of its own.
    task: Any = asyncio.current_task() or object()
    timer: asyncio.TimerHandle | None = None
    is_over = False
    failed: BaseException | None = None
    woken: asyncio.Future[None]

    def go_on() -> None:
        if not woken.done():
            woken.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(go_on)
        except RuntimeError:
            pass  # The loop is closed: no task waits any more.

    def expire() -> None:
        nonlocal is_over
        is_over = True
        go_on()

    try:
        while True:
            woken = loop.create_future()
            guard = pending.poll(wake, task, is_block)
            if guard is not None:
                return guard
            if is_over:
                return pending.expire(task, is_block)
            if timer is None and pending.timeout is not None:
                timer = loop.call_later(pending.timeout, expire)
            await woken
    except BaseException as error:
        failed = error
        raise
    finally:
        if timer is not None:
            timer.cancel()
        pending.close(failed)
        failed = None


async def enter(pending: Pending[G]) -> G:
    """Enters the block of `async with lock`."""
    return await wait(pending, True)


async def leave(lock: Any, error: object = None) -> None:
    """Leaves the block of `async with lock`, because of that class of exceptions if there is one."""
    task = asyncio.current_task()
    await release(lock, error, lambda: lock._leave_block(task))


async def release(lock: Any, error: object, call: Callable[[], None]) -> None:
    """Makes the call that releases this handle or guard: in a thread, if a server has to answer."""
    # A coroutine that is closed can't wait any more.
    if not lock._is_on_server or error is GeneratorExit:
        call()
        return
    released = asyncio.get_running_loop().run_in_executor(None, call)
    cancelled: BaseException | None = None
    while not released.done():
        try:
            await asyncio.shield(released)
        except asyncio.CancelledError as error:
            # The release goes on, and what the task does next may rely on it.
            cancelled = error
        except BaseException:
            pass  # An error of the release is raised below.
    released.result()
    if cancelled is not None:
        raise cancelled


async def lost(guard: Any) -> None:
    """Waits until the lock of that guard is lost, or not confirmed in time."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def tell() -> None:
        if not told.done():
            told.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # The loop is closed: no task waits any more.

    callback = guard.on_lost(wake)
    try:
        await told
    finally:
        callback.cancel()
