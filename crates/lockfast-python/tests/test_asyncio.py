"""Tasks that wait while the event loop does not."""

import asyncio
import os
import sys
import threading

import lockfast
import pytest
from lockfast import _tasks
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
        for _ in range(5):
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
        if sys.version_info >= (3, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), lock:
                    pytest.fail("it is held")
        assert not lockfast.inspect(path).waiters
        there.do("guard.release()")
        async with rw.read_async(timeout=60), rw.read_async():
            pass
        async with rw.upgradable_read_async() as reader:
            assert reader.upgrade().is_held
        assert lockfast.inspect(path).is_free

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


def test_each_task_leaves_its_own_block(path):
    async def main():
        pool = lockfast.Semaphore(path, 2)
        inside, leave = asyncio.Event(), asyncio.Event()

        async def visit():
            async with pool as permit:
                inside.set()
                await leave.wait()
            return permit

        task = asyncio.ensure_future(visit())
        await inside.wait()
        async with pool as permit:
            leave.set()
            first = await task
            # That one was not the last to enter.
            assert permit.is_held and not first.is_held

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with CPython 3.12")
def test_eager_tasks(path, there):
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        lock, other = lockfast.Lock(path), lockfast.Lock(path + "2")

        async def visit(lock):
            async with lock as guard:
                return guard.is_held

        async with lock:
            # It is over before it is a task, in the midst of this one.
            assert await asyncio.create_task(visit(other))
            waiting = asyncio.create_task(visit(lock))
            assert not waiting.done()
        assert await waiting
        there.do("guard = lock.write()")
        task = asyncio.create_task(visit(lock))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not lockfast.inspect(path).waiters
        there.do("guard.release()")
        lock.try_acquire().release()

    asyncio.run(main())


def test_loops_of_two_threads(path):
    lock = lockfast.Lock(path)
    count = 0

    async def add():
        nonlocal count
        for _ in range(100):
            async with lock:
                before = count
                await asyncio.sleep(0)
                count = before + 1

    threads = [threading.Thread(target=lambda: asyncio.run(add())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 200


def test_a_task_that_is_cancelled_while_it_is_handed_the_lock(path):
    """Whichever comes first: either the task has it, or nobody."""

    async def main():
        lock = lockfast.Lock(path)
        for pause in range(200):
            guard = lock.acquire()
            task = asyncio.ensure_future(lock.acquire_async())
            await asyncio.sleep(0)
            guard.release()
            for _ in range(pause % 20):
                await asyncio.sleep(0)
            task.cancel()
            try:
                (await task).release()
            except asyncio.CancelledError:
                pass
            lock.try_acquire().release()

    asyncio.run(main())


def test_timers_end_with_the_wait(path):
    async def main():
        loop = asyncio.get_running_loop()
        timers, call_later = [], loop.call_later
        loop.call_later = lambda *args: timers.append(call_later(*args)) or timers[-1]
        lock = lockfast.Lock(path)
        guard = lock.acquire()
        task = asyncio.ensure_future(lock.acquire_async(timeout=1000))
        await asyncio.sleep(0)
        guard.release()
        (await task).release()
        assert [timer.cancelled() for timer in timers] == [True]

    asyncio.run(main())


def test_a_wake_up_when_the_loop_is_closed():
    wakes = []

    class Pending:
        timeout = None

        def poll(self, wake, task, is_block):
            wakes.append(wake)

        def close(self, error):
            pass

    loop = asyncio.new_event_loop()
    task = loop.create_task(_tasks.wait(Pending(), False))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    (wake,) = wakes
    wake()
    task.get_coro().close()


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
        with pytest.warns(RuntimeWarning, match="'Lock.acquire_async' was never awaited"):
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
