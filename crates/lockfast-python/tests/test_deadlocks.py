"""A caller that would wait for itself gets an error, and no other caller does."""

import asyncio
import concurrent.futures
import threading

import lockfast
import lockfast.fasteners as fasteners
import pytest
from stage import PATIENCE, Failed, until


def test_a_pool_of_threads_waits(path):
    """A thread that took it and gave the guard away is not the one that holds it."""
    lock, other = lockfast.Lock(path), lockfast.Lock(path)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for take in (lock.acquire, other.acquire, lockfast.RwLock(path).write):
            guards = [pool.submit(take) for _ in range(10)]
            for done in concurrent.futures.as_completed(guards, PATIENCE):
                done.result().release()


def test_asyncio_to_thread_waits(path):
    async def request(lock):
        guard = await asyncio.get_running_loop().run_in_executor(None, lock.acquire)
        await asyncio.sleep(0)
        guard.release()
        return True

    async def main():
        lock = lockfast.Lock(path)
        results = await asyncio.wait_for(
            asyncio.gather(*(request(lock) for _ in range(30)), return_exceptions=True), PATIENCE
        )
        assert results == [True] * 30

    asyncio.run(main())


def test_a_pool_waits_by_the_drop_in(path):
    """As with fasteners, whose instances know nothing of threads."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def take():
            lock = fasteners.InterProcessLock(path)
            lock.acquire()
            return lock

        first = pool.submit(take).result(PATIENCE)
        second = pool.submit(take)
        until(lambda: lockfast.inspect(path).waiters)
        first.release()
        second.result(PATIENCE).release()


def told(act):
    """Runs it in a thread of its own, and returns the classes of the errors."""
    got = []

    def run():
        try:
            act()
        except lockfast.LockError as error:
            got.append(type(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for itself"
    return got


def test_a_block_is_its_threads(path):
    def twice(one, other):
        with one:
            other.acquire()

    lock, other, again = lockfast.Lock(path), lockfast.Lock(path), lockfast.ReentrantLock(path)
    assert told(lambda: twice(lock, lock)) == [lockfast.Deadlock]
    assert told(lambda: twice(lock, other)) == [lockfast.Deadlock]
    assert told(lambda: twice(lock.acquire(), other)) == [lockfast.Deadlock]
    assert told(lambda: twice(lock, again)) == [lockfast.Deadlock]
    assert told(lambda: twice(again, lock)) == [lockfast.Deadlock]
    cache = lockfast.RwLock(path)

    def write_while_reading():
        with cache.read():
            cache.write()

    def upgrade_while_reading():
        with cache.upgradable_read() as reader, cache.read():
            reader.upgrade()

    assert told(write_while_reading) == [lockfast.Deadlock]
    assert told(upgrade_while_reading) == [lockfast.Deadlock]
    assert told(lambda: lockfast.lock_all([lock, lock])) == [lockfast.Deadlock]
    assert lockfast.inspect(path).is_free


def test_a_guard_in_a_variable_is_its_threads(path):
    def twice():
        guard = lockfast.Lock(path).acquire()
        try:
            lockfast.Lock(path).acquire()
        finally:
            guard.release()

    assert told(twice) == [lockfast.Deadlock]


def test_a_lock_of_the_only_thread_is_released_by_no_other(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})", "exec('lock.acquire()')")
    with pytest.raises(Failed, match="Deadlock.*this thread holds it already"):
        there.do("lock.acquire()")
    there.do("lock.release()")


@pytest.mark.parametrize("first", ["async with", "await"])
def test_a_task_is_told(path, first):
    async def again(lock, other):
        if first == "async with":
            async with lock:
                await other.acquire_async()
        else:
            guard = await lock.acquire_async()
            try:
                async with other:
                    pass
            finally:
                guard.release()

    async def main():
        lock = lockfast.Lock(path)
        for other in (lock, lockfast.Lock(path), lockfast.RwLock(path)):
            if isinstance(other, lockfast.RwLock):
                other = Writing(other)
            with pytest.raises(lockfast.Deadlock, match="this task holds it already"):
                await asyncio.wait_for(asyncio.create_task(again(lock, other)), PATIENCE)
            assert lockfast.inspect(path).is_free

    class Writing:
        def __init__(self, lock):
            self.lock = lock

        def acquire_async(self):
            return self.lock.write_async()

        async def __aenter__(self):
            return await self.lock.write_async()

        async def __aexit__(self, *_):
            pass

    asyncio.run(main())


def test_other_tasks_wait(path):
    async def main():
        lock = lockfast.Lock(path)
        guard = await lock.acquire_async()
        tasks = [asyncio.create_task(visit(lock)) for _ in range(5)]
        await asyncio.sleep(0)
        guard.hand_over()
        # This task waits too, for one that it gave the guard to.
        asyncio.get_running_loop().call_later(0.01, guard.release)
        async with lock:
            pass
        assert await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE) == [True] * 5

    async def visit(lock):
        async with lock as guard:
            return guard.is_held

    asyncio.run(main())


def test_a_loop_that_would_stop_is_told(path):
    """A task holds it, and a thread that waits for it would never let that task go on."""

    async def main():
        lock = lockfast.Lock(path)
        inside, leave = asyncio.Event(), asyncio.Event()

        async def visit():
            async with lock:
                inside.set()
                await leave.wait()

        task = asyncio.create_task(visit())
        await inside.wait()
        with pytest.raises(lockfast.Deadlock):
            with lock:
                pytest.fail("it is held")
        leave.set()
        await task

    asyncio.run(main())


def test_a_task_that_is_new_is_not_the_one_that_ended(path):
    """A task that is gone while its guard is not; another one may have its address."""

    async def take(lock):
        return await lock.acquire_async()

    async def main():
        lock = lockfast.Lock(path)
        for _ in range(20):
            guard = await asyncio.create_task(take(lock))
            waiting = asyncio.create_task(take(lock))
            await asyncio.sleep(0)
            guard.release()
            (await asyncio.wait_for(waiting, PATIENCE)).release()

    asyncio.run(main())
