"""Waits that are reported to the program, and that it ends."""

import asyncio
import datetime
import logging
import os
import threading

import lockfast
import pytest
from stage import PATIENCE, Failed, until, until_waits

WAYS = [
    (lockfast.Lock, "acquire"),
    (lockfast.RwLock, "read"),
    (lockfast.RwLock, "upgradable_read"),
    (lockfast.RwLock, "write"),
    (lockfast.ReentrantLock, "acquire"),
]


@pytest.fixture
def there(path, actors):
    return actors("import lockfast", f"lock = lockfast.Lock({path!r})", "guard = lock.acquire()")


@pytest.mark.parametrize(("cls", "way"), WAYS)
def test_the_program_is_told_of_a_wait(path, there, cls, way):
    told = []
    lock = cls(path, on_wait=told.append)
    with pytest.raises(lockfast.Timeout):
        getattr(lock, way)(timeout=0.01)
    (waiting,) = told
    assert waiting.path == path and waiting.waited == 0
    assert waiting.holder.pid == there.pid
    there.do("guard.release()")
    getattr(lock, way)()
    assert len(told) == 1
    lock.release()


def test_again_and_again(path, there):
    class Enough(Exception):
        pass

    told = []

    def on_wait(waiting):
        told.append(waiting.waited)
        if len(told) == 3:
            raise Enough

    lock = lockfast.Lock(path, on_wait=on_wait, wait_interval=datetime.timedelta(milliseconds=5))
    with pytest.raises(Enough):
        lock.acquire()
    assert told == sorted(told) and told[0] == 0 < told[1]
    assert not lockfast.inspect(path).waiters
    there.do("guard.release()")
    lock.acquire()
    lock.release()


def test_an_exception_of_the_callback_ends_the_wait_of_a_task(path, there):
    def on_wait(waiting):
        raise KeyError(waiting.holder.pid)

    async def main():
        with pytest.raises(KeyError, match=str(there.pid)):
            await lockfast.Lock(path, on_wait=on_wait).acquire_async()
        assert not lockfast.inspect(path).waiters

    asyncio.run(main())


def test_bad_hooks(path):
    with pytest.raises(TypeError, match="on_wait"):
        lockfast.Lock(path, on_wait=1)
    with pytest.raises(ValueError, match="wait_interval"):
        lockfast.Lock(path, wait_interval=0)


TOKEN_WAITS = [
    "lock.acquire(cancel=token)",
    "lock.acquire(cancel=token, timeout=1000)",
    "lockfast.ReentrantLock(lock.path).acquire(cancel=token)",
    "cache.read(cancel=token)",
    "cache.upgradable_read(cancel=token)",
    "cache.write(cancel=token)",
    "lockfast.lock_all([lock, (other, 'read')], cancel=token)",
    "slow.acquire(cancel=token)",
]


@pytest.mark.parametrize("wait", TOKEN_WAITS)
def test_a_token_ends_a_wait(path, there, actors, wait):
    waiter = actors(
        "import lockfast, threading, os, time",
        f"lock = lockfast.Lock({path!r})",
        f"slow = lockfast.Lock({path!r}, on_wait=print and (lambda _: None))",
        f"cache = lockfast.RwLock({path!r})",
        f"other = lockfast.RwLock({path + '2'!r})",
        "token = lockfast.CancelToken()",
        "def cancel(go):\n  while not os.path.exists(go): time.sleep(0.005)\n  token.cancel()",
    )
    waiter.do(f"threading.Thread(target=cancel, args=({path + '.go'!r},)).start()")
    assert not waiter.do("token.is_cancelled")
    waiter.begin(wait)
    until_waits(path, waiter.pid)
    with open(path + ".go", "w"):
        pass
    with pytest.raises(Failed, match="Cancelled.*was ended by the program"):
        waiter.answer()
    until(lambda: not lockfast.inspect(path).waiters)
    assert waiter.do("token.is_cancelled")
    # From now on, waits with the token end at once, but a free lock is still taken.
    with pytest.raises(Failed, match="Cancelled"):
        waiter.do(wait)
    there.do("guard.release()")
    waiter.do(wait)


def test_permits_and_upgrades_end_by_a_token(path):
    pool, token = lockfast.Semaphore(path, 1), lockfast.CancelToken()
    token.cancel()
    assert "cancelled" in repr(token)
    with pool:
        with pytest.raises(lockfast.Cancelled) as caught:
            lockfast.Semaphore(path, 1).acquire(cancel=token)
    assert isinstance(caught.value, lockfast.LockError) and caught.value.filename == path
    cache = lockfast.RwLock(path + "2")
    with cache.upgradable_read() as reader, lockfast.RwLock(path + "2").read():
        with pytest.raises(lockfast.Cancelled):
            reader.upgrade(cancel=token)
        assert reader.is_held


def test_a_writer_by_a_task(path, actors):
    there = actors("import lockfast", f"lock = lockfast.RwLock({path!r})", "guard = lock.read()")
    cache = lockfast.RwLock(path)

    async def main():
        with cache.upgradable_read() as reader:
            with pytest.raises(lockfast.Timeout, match="upgrade to a writer"):
                await reader.upgrade_async(timeout=0.01)
            task = asyncio.create_task(reader.upgrade_async())
            await wait_in_kernel()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # It reads on: nobody else became the writer, and it can try again.
            assert reader.is_held
            with pytest.raises(lockfast.WouldBlock):
                cache.try_upgradable_read()
            task = asyncio.create_task(reader.upgrade_async())
            await wait_in_kernel()
            there.do("guard.release()")
            writer = await task
            assert writer.is_held and not reader.is_held
            assert writer.is_current() and os.fstat(writer.fileno()).st_ino
            with pytest.raises(lockfast.NotHeld):
                await reader.upgrade_async()
        assert not writer.is_held

    async def wait_in_kernel():
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, until_waits, path, os.getpid())

    asyncio.run(main())


@pytest.mark.parametrize("way", ["acquire_async", "create_task", "gather", "wait_for"])
def test_a_wait_is_a_coroutine_and_a_block(path, way):
    async def main():
        lock = lockfast.Lock(path)
        acquiring = lock.acquire_async()
        assert asyncio.iscoroutine(acquiring)
        if way == "create_task":
            guard = await asyncio.create_task(acquiring)
        elif way == "gather":
            (guard,) = await asyncio.gather(acquiring)
        elif way == "wait_for":
            guard = await asyncio.wait_for(acquiring, PATIENCE)
        else:
            guard = await acquiring
        assert guard.is_held
        guard.release()
        async with lock.acquire_async() as guard:
            assert guard.is_held
        acquiring = lock.acquire_async()
        acquiring.close()

    asyncio.run(main(), debug=True)


def test_a_task_learns_the_holder(path, there):
    async def main():
        with pytest.raises(lockfast.Timeout, match=str(there.pid)) as caught:
            await lockfast.Lock(path).acquire_async(timeout=0.01)
        assert caught.value.holder.pid == there.pid
        assert caught.value.filename == path
        there.do("guard.release()")
        there.do(f"pool = lockfast.Semaphore({path!r}, 2)")
        there.do("permit = pool.acquire(2)")
        pool = lockfast.Semaphore(path, 2)
        with pytest.raises(lockfast.Timeout, match="gave up on a permit of"):
            await pool.acquire_async(timeout=0.01)
        with pytest.raises(lockfast.Timeout, match="gave up on a permit of"):
            pool.acquire(timeout=0.2)

    asyncio.run(main())


def test_debug_tells_of_waits(path, there, caplog):
    lock = lockfast.Lock(path)
    with caplog.at_level(logging.DEBUG, logger="lockfast"):
        with pytest.raises(lockfast.Timeout):
            lock.acquire(timeout=0.01)
        first, last = caplog.records
        assert (first.name, first.levelno) == ("lockfast", logging.DEBUG)
        assert path in first.getMessage() and str(there.pid) in first.getMessage()
        assert path in last.getMessage() and "Timeout" in last.getMessage()
        caplog.clear()

        async def main():
            task = asyncio.create_task(lock.acquire_async())
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, until_waits, path, os.getpid())
            there.do("guard.release()")
            (await task).release()
            there.do("guard = lock.acquire()")
            task = asyncio.create_task(lock.acquire_async())
            await loop.run_in_executor(None, until_waits, path, os.getpid())
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        texts = [record.getMessage() for record in caplog.records]
        assert len(texts) == 4
        assert str(there.pid) in texts[0] and "got lock" in texts[1] and path in texts[1]
        assert "CancelledError" in texts[3]
        there.do("guard.release()")
        caplog.clear()
        with lock:
            pass
        # Nothing was waited for.
        assert not caplog.records
    there.do("guard = lock.acquire()")
    with caplog.at_level(logging.INFO, logger="lockfast"):
        with pytest.raises(lockfast.Timeout):
            lock.acquire(timeout=0.01)
    assert not caplog.records


def test_logging_is_not_imported_for_it(path, there, run):
    script = (
        "import sys, lockfast\n"
        "try: lockfast.Lock(sys.argv[1]).acquire(timeout=0.01)\n"
        "except lockfast.Timeout: print('logging' in sys.modules)"
    )
    assert run(script, path) == "False\n"


def test_many_threads_wait_long(path):
    """Longer than a thread is in the kernel's queue itself."""
    lock, taken = lockfast.Lock(path), []

    def visit():
        with lockfast.Lock(path):
            taken.append(1)

    lock.acquire()
    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()

    def helpers():
        names = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/comm") as comm:
                    names.append(comm.read())
            except FileNotFoundError:
                pass
        return names.count("lockfast-block\n")

    until(lambda: helpers() >= 8 and len(lockfast.inspect(path).waiters) == 8)
    assert not taken
    lock.release()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(taken) == 8
