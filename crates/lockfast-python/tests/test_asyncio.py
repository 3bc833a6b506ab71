"""Tasks that wait while the event loop does not."""

import asyncio
import os

import lockfast
import pytest
from stage import descriptors, until, until_waits


@pytest.fixture
def there(path, actors):
    return actors("import lockfast", f"lock = lockfast.RwLock({path!r})")


async def until_task_waits(path, pid):
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, until_waits, path, pid)


def test_a_task_waits_and_others_run(path, there):
    async def main():
        lock = lockfast.Lock(path)
        there.do("guard = lock.write()")
        task = asyncio.ensure_future(visit(lock))
        await until_task_waits(path, os.getpid())
        assert not task.done()
        there.do("guard.release()")
        assert await task
        lock.try_acquire().release()

    async def visit(lock):
        async with lock as guard:
            return guard.is_held

    asyncio.run(main())


def test_tasks_exclude_each_other(path):
    count = 0

    async def add(lock):
        nonlocal count
        for _ in range(50):
            async with lock:
                before = count
                await asyncio.sleep(0)
                count = before + 1

    async def main():
        lock = lockfast.Lock(path)
        await asyncio.gather(*(add(lock) for _ in range(4)))

    asyncio.run(main())
    assert count == 200


@pytest.mark.parametrize("enter", ["async with lock", "await lock.acquire_async()"])
def test_a_cancelled_task_leaves_nothing_behind(path, there, enter):
    async def visit(lock):
        if enter == "async with lock":
            async with lock:
                pytest.fail("it is held")
        await lock.acquire_async()

    async def main():
        lock = lockfast.Lock(path)
        there.do("guard = lock.write()")
        before = descriptors(path)
        for _ in range(20):
            task = asyncio.ensure_future(visit(lock))
            await until_task_waits(path, os.getpid())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # By the end of the task, not some time after it.
            assert not lockfast.inspect(path).waiters
        assert descriptors(path) == before
        there.do("guard.release()")
        lock.try_acquire().release()

    asyncio.run(main())


def test_a_task_cancelled_before_it_ran(path):
    async def main():
        lock = lockfast.Lock(path)
        task = asyncio.ensure_future(take(lock))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        lock.try_acquire().release()

    async def take(lock):
        await lock.acquire_async()

    asyncio.run(main())


def test_time_outs(path, there):
    async def main():
        lock, rw = lockfast.Lock(path), lockfast.RwLock(path)
        there.do("guard = lock.write()")
        for wait in (
            lock.acquire_async,
            rw.read_async,
            rw.upgradable_read_async,
            rw.write_async,
        ):
            for timeout in (0, 0.01):
                with pytest.raises(lockfast.Timeout, match="gave up on lock"):
                    await wait(timeout=timeout)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock.acquire_async(), 0.01)
        there.do("guard.release()")
        async with rw.read_async(timeout=60), rw.read_async():
            pass
        async with rw.upgradable_read_async() as reader:
            assert reader.upgrade().is_held

    asyncio.run(main())


def test_semaphores(path):
    async def main():
        pool = lockfast.Semaphore(path, 2)
        async with pool, pool.acquire_async(1) as permit:
            assert permit.count == 1
            with pytest.raises(lockfast.Timeout):
                await pool.acquire_async(timeout=0.01)
        async with pool.acquire_async(2):
            pass

    asyncio.run(main())


def test_an_await_is_for_once(path):
    async def main():
        acquiring = lockfast.Lock(path).acquire_async()
        (await acquiring).release()
        with pytest.raises(RuntimeError):
            await acquiring

    asyncio.run(main())


def test_a_wait_that_nobody_awaits_locks_nothing(path):
    async def main():
        lock = lockfast.Lock(path)
        acquiring = lock.acquire_async()
        lock.try_acquire().release()
        del acquiring

    asyncio.run(main())


def test_a_loop_that_is_closed_under_a_wait(path, there):
    there.do("guard = lock.write()")
    lock = lockfast.Lock(path)

    async def main():
        task = asyncio.ensure_future(take())
        await asyncio.sleep(0)
        return task

    async def take():
        async with lock:
            pass

    asyncio.run(main())
    until(lambda: not lockfast.inspect(path).waiters)
    there.do("guard.release()")
    lock.try_acquire().release()


def test_importing_does_not_import_asyncio(run):
    assert run("import sys, lockfast; print('asyncio' in sys.modules)") == "False\n"
