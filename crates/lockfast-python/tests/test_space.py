"""Spaces of names: the same on each engine."""

import asyncio
import logging
import multiprocessing
import os
import pickle
import signal
import threading

import lockfast
import pytest
from stage import PATIENCE, Failed, until
from test_fork import FORK

ENGINES = ["file", "etcd", "postgres"]


@pytest.fixture(params=ENGINES)
def url(request, url_of):
    return url_of(request.param)


@pytest.fixture
def space(url):
    return lockfast.Space(url)


@pytest.fixture
def there(url, actors):
    """Another process with the lock "a" of the space."""
    return actors("import asyncio, lockfast, os", f"space = lockfast.Space({url!r})", *OPENED)


OPENED = [
    "lock = space.lock('a')",
    "cache = space.rwlock('a')",
    "pool = space.semaphore('pool', 2)",
    "async def task():\n  async with lock: pass",
]


def waiters(space, name="a"):
    entry = space.holders(name)
    return [] if entry is None else entry.waiters


def until_waits(space, name="a", count=1):
    until(lambda: len(waiters(space, name)) == count)


def is_free(space, name="a"):
    """Whether nobody holds the name or waits. A server learns of an end a moment later."""
    return space.holders(name) is None


def test_a_lock_keeps_others_out(space, there):
    lock = space.lock("a")
    with lock as guard:
        assert isinstance(lock, lockfast.Lock) and isinstance(guard, lockfast.LockGuard)
        assert guard.is_held and lock.name == "a"
        for take in ("lock.try_acquire()", "lock.acquire(blocking=False)", "cache.try_read()"):
            with pytest.raises(Failed, match=f"WouldBlock.*{os.getpid()}"):
                there.do(take)
        with pytest.raises(Failed, match=f"Timeout.*{os.getpid()}"):
            there.do("lock.acquire(timeout=0.05)")
        with pytest.raises(Failed, match="Timeout"):
            there.do("lock.acquire(timeout=0)")
    assert not guard.is_held
    there.do("guard = lock.try_acquire()")
    with pytest.raises(lockfast.WouldBlock) as caught:
        lock.try_acquire()
    assert caught.value.holder.pid == there.pid
    assert caught.value.filename == lock.path
    there.do("lock.release()")
    lock.try_acquire()
    lock.release()
    with pytest.raises(lockfast.NotHeld):
        lock.release()


@pytest.mark.parametrize("wait", ["lock.acquire()", "lock.acquire(timeout=1000)"])
def test_a_waiter_is_next(space, there, wait):
    guard = space.lock("a").acquire()
    there.begin(f"{wait}.is_held")
    until_waits(space)
    assert there.is_silent()
    guard.release()
    assert there.answer() is True


@pytest.mark.parametrize(
    "wait",
    [
        "lock.acquire()",
        "lock.acquire(timeout=1000)",
        "lock.__enter__()",
        "cache.write()",
        "lockfast.lock_all([lock, (cache, 'read')][:1])",
        "asyncio.run(task())",
    ],
)
def test_an_interrupt_ends_a_wait(space, there, wait):
    guard = space.lock("a").acquire()
    there.begin(wait)
    until_waits(space)
    there.kill(signal.SIGINT)
    with pytest.raises(Failed, match="KeyboardInterrupt"):
        there.answer()
    assert not waiters(space)
    guard.release()
    assert there.do("lock.try_acquire().is_held")


def test_a_token_ends_a_wait(space, there):
    there.do("guard = lock.acquire()")
    lock, token = space.lock("a"), lockfast.CancelToken()
    errors = []

    def wait():
        with pytest.raises(lockfast.Cancelled) as caught:
            lock.acquire(cancel=token)
        errors.append(caught.value)

    thread = threading.Thread(target=wait)
    thread.start()
    until_waits(space)
    token.cancel()
    thread.join(PATIENCE)
    assert errors and not waiters(space)
    assert errors[0].filename == lock.path


def test_waits_are_reported(space, there, caplog):
    there.do("guard = lock.acquire()")
    calls = []

    def on_wait(waiting):
        calls.append(waiting)
        if len(calls) == 2:
            there.do("guard.release()")

    caplog.set_level(logging.DEBUG, logger="lockfast")
    lock = space.lock("a", on_wait=on_wait, wait_interval=0.01)
    with lock.acquire(timeout=1000):
        pass
    assert (calls[0].waited, calls[0].holder.pid) == (0, there.pid)
    assert calls[1].waited > 0 and calls[0].path == lock.path
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == f"waiting for lock {lock.path}, which pid {there.pid} holds"
    assert texts[1].startswith(f"got lock {lock.path} after")


def test_an_exception_of_on_wait_ends_the_wait(space, there):
    there.do("guard = lock.acquire()")

    def on_wait(waiting):
        raise KeyError(waiting.path)

    for lock in (space.lock("a", on_wait=on_wait), space.rwlock("a", on_wait=on_wait)):
        take = lock.acquire if isinstance(lock, lockfast.Lock) else lock.write
        with pytest.raises(KeyError):
            take()
    assert not waiters(space)


def test_readers_share_and_a_writer_does_not(space, there):
    cache = space.rwlock("a")
    with cache.read(), cache.read(timeout=1000):
        assert there.do("cache.try_read().is_held")
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("cache.try_write()")
        there.do("cache.release()")
    with cache.write() as guard:
        assert guard.is_held
        with pytest.raises(Failed, match="Timeout"):
            there.do("cache.read(timeout=0.01)")
    assert there.do("cache.write().is_held")


def test_conversions_are_where_the_engine_has_them(space):
    cache = space.rwlock("a")
    if space.capabilities.conversions:
        with cache.upgradable_read() as reader, reader.upgrade() as writer:
            assert writer.downgrade().is_held
        return
    for take in (cache.upgradable_read, cache.try_upgradable_read):
        with pytest.raises(lockfast.Unsupported):
            take()
    with pytest.raises(lockfast.Unsupported):
        asyncio.run(as_task(cache.upgradable_read_async))
    with cache.write() as writer:
        with pytest.raises(lockfast.Unsupported):
            writer.downgrade()
        assert writer.is_held


async def as_task(take):
    return await take()


def test_permits(space, there):
    pool = space.semaphore("pool", 2)
    assert (pool.permits, pool.available()) == (2, 2)
    with pool as permit, pool.acquire():
        assert (permit.count, pool.available()) == (1, 0)
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("pool.try_acquire()")
    with pytest.raises(lockfast.InvalidOption):
        pool.acquire(3)
    with pytest.raises(lockfast.InvalidOption):
        pool.try_acquire(0)
    with pytest.raises(lockfast.InvalidOption):
        asyncio.run(as_task(lambda: pool.acquire_async(3)))
    assert there.do("pool.acquire(2).count") == 2
    there.do("pool.release()")

    async def main():
        async with pool, pool.acquire_async(1) as permit:
            assert permit.count == 1
            with pytest.raises(lockfast.Timeout):
                await pool.acquire_async(timeout=0.01)

    asyncio.run(main())
    assert pool.available() == 2


def test_tokens_grow(space):
    tokens, epochs = [], set()
    for lock in (space.lock("a"), space.lock("a"), space.rwlock("a")):
        with lock.acquire() if isinstance(lock, lockfast.Lock) else lock.write() as guard:
            tokens.append(guard.token)
            epochs.add(guard.epoch)
    assert tokens == sorted(set(tokens)) and len(epochs) == 1


def test_a_held_lock_is_valid(space):
    with space.lock("a") as guard:
        guard.check()
        assert guard.state == "valid"
        assert guard.wait_lost(0.01) is False
        if space.capabilities.lease:
            assert 0 < guard.lease_left <= 5
        else:
            assert guard.lease_left is None
    assert guard.state == "released" and guard.lease_left is None


def test_features(space):
    has = space.capabilities
    on_server = not space.url.startswith("file:")
    assert has.shared and has.token
    assert (has.fifo, has.lease, has.conversions) == (on_server, on_server, not on_server)
    assert space.lock("a").capabilities == has


def test_a_task_waits_and_others_run(space, there):
    async def visit(lock):
        async with lock as guard:
            return guard.is_held

    async def main():
        lock = space.lock("a")
        there.do("guard = lock.acquire()")
        task = asyncio.ensure_future(visit(lock))
        await asyncio.get_running_loop().run_in_executor(None, until_waits, space)
        assert not task.done()
        there.do("guard.release()")
        assert await task
        for wait in (lock.acquire_async(), lock.acquire_async(timeout=1000)):
            async with wait as guard:
                assert guard.is_held
        assert not guard.is_held

    asyncio.run(main())
    until(lambda: is_free(space))


def test_a_task_gives_up(space, there):
    async def main():
        lock = space.lock("a")
        there.do("guard = lock.acquire()")
        for timeout in (0, 0.01):
            with pytest.raises(lockfast.Timeout, match=str(there.pid)):
                await lock.acquire_async(timeout=timeout)
        task = asyncio.ensure_future(lock.acquire_async())
        await asyncio.get_running_loop().run_in_executor(None, until_waits, space)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # By the end of the task.
        assert not waiters(space)
        there.do("guard.release()")
        lock.try_acquire().release()

    asyncio.run(main())


def test_tasks_exclude_each_other(space):
    count = 0

    async def add(lock):
        nonlocal count
        for _ in range(10):
            async with lock:
                before = count
                await asyncio.sleep(0)
                count = before + 1

    async def main():
        lock = space.lock("a")
        await asyncio.gather(*(add(lock) for _ in range(4)))

    asyncio.run(main())
    assert count == 40


def test_a_task_that_is_cancelled_in_its_release(space):
    async def main():
        lock = space.lock("a")
        leaving = asyncio.Event()

        async def visit():
            async with lock:
                leaving.set()

        task = asyncio.ensure_future(visit())
        await leaving.wait()
        task.cancel()
        await asyncio.wait([task])
        lock.try_acquire().release()

    asyncio.run(main())


def test_several_at_once(space, there, tmp_path):
    one, two, cache = space.lock("b"), space.semaphore("pool", 2), space.rwlock("a")
    local = lockfast.Lock(tmp_path / "local.lock")
    with lockfast.lock_all([one, two, (cache, "read"), local], timeout=1000) as guards:
        assert [guard.is_held for guard in guards] == [True] * 4
        with pytest.raises(Failed, match="Timeout"):
            there.do("lockfast.lock_all([space.lock('c'), lock], timeout=0.01)")
        assert there.do("space.lock('c').try_acquire().is_held")
    there.do("guard = lock.acquire()")
    with pytest.raises(lockfast.WouldBlock):
        lockfast.try_lock_all([one, (cache, "write")])
    one.try_acquire().release()

    async def main():
        with pytest.raises(lockfast.Timeout):
            await lockfast.lock_all_async([one, (cache, "write")], timeout=0.01)
        there.do("guard.release()")
        async with lockfast.lock_all_async([one, (cache, "write")]) as guards:
            assert len(guards) == 2
        assert not guards[0].is_held

    asyncio.run(main())
    until(lambda: is_free(space))


def test_a_thread_does_not_wait_for_itself(space, url):
    lock, again, other = space.lock("a"), lockfast.Space(url).lock("a"), space.lock("b")
    with lock:
        with pytest.raises(lockfast.Deadlock):
            again.acquire()
        with pytest.raises(lockfast.Timeout):
            again.acquire(timeout=0.01)
        with other:
            pass
    with space.semaphore("pool", 2) as permit:
        assert permit.is_held

    async def main():
        async with lock:
            with pytest.raises(lockfast.Deadlock):
                await again.acquire_async()

    asyncio.run(main())


def test_functions_under_a_lock(space, there):
    lock = space.lock("a")

    def is_held():
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("lock.try_acquire()")
        return True

    @lockfast.locked(lock, timeout=1000)
    def function():
        return is_held()

    @lockfast.locked(lock, timeout=1000)
    async def coroutine():
        await asyncio.sleep(0)
        return is_held()

    @lockfast.locked(lock)
    def generator():
        yield is_held()

    @lockfast.locked(lock)
    async def async_generator():
        yield is_held()

    class Thing:
        @classmethod
        @lockfast.locked(lock)
        def method(cls):
            return is_held()

    async def main():
        assert await coroutine()
        assert [item async for item in async_generator()] == [True]

    assert function() and Thing.method() and list(generator()) == [True]
    asyncio.run(main())
    until(lambda: is_free(space))


def test_a_function_whose_time_is_over(space, there):
    @lockfast.locked(space.lock("a"), timeout=0.01)
    def function():
        pass

    @lockfast.locked(space.lock("a"), timeout=0.01)
    async def coroutine():
        pass

    there.do("guard = lock.acquire()")
    with pytest.raises(lockfast.Timeout, match=str(there.pid)):
        function()
    with pytest.raises(lockfast.Timeout):
        asyncio.run(coroutine())
    there.do("guard.release()")
    function()


def test_functions_that_read_and_write(space, there):
    cache = space.rwlock("a")

    @lockfast.read_locked(cache)
    def read():
        there.do("cache.try_read().release()")
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("cache.try_write()")
        return "read"

    @lockfast.write_locked(cache, timeout=1000)
    async def write():
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("cache.try_read()")
        return "written"

    @lockfast.locked(space.semaphore("pool", 2))
    async def visit():
        return there.do("pool.available()")

    assert read() == "read"
    assert asyncio.run(write()) == "written"
    assert asyncio.run(visit()) == 1
    with pytest.raises(TypeError):
        lockfast.locked(cache)
    with pytest.raises(TypeError):
        lockfast.read_locked(space.lock("a"))


def test_names_are_listed(space, there):
    assert space.list() == [] and space.holders("jobs.b") is None
    with space.lock("jobs.b"), space.semaphore("jobs.a", 3).acquire(2):
        there.begin("space.lock('jobs.b').acquire()")
        until_waits(space, "jobs.b")
        assert [entry.name for entry in space.list()] == ["jobs.a", "jobs.b"]
        assert [entry.name for entry in space.list("jobs.a")] == ["jobs.a"]
        pool, lock = space.list("jobs.")
        assert (pool.permits, lock.permits) == (3, None)
        assert sum(holder.permits for holder in pool.holders) == 2
        (holder,), (waiter,) = lock.holders, lock.waiters
        assert (holder.pid, waiter.pid) == (os.getpid(), there.pid)
        assert holder.mode in ("exclusive", "write")
    there.answer()


def test_names_have_rules(space):
    for name in ["", ".hidden", "a/b", "a\0b", "x" * 4096]:
        opens = [space.lock, space.rwlock, lambda name: space.semaphore(name, 1), space.holders]
        for use in opens:
            with pytest.raises(lockfast.InvalidPath):
                use(name)
    for name in ["a", "jobs:nightly", "50%", "über", "a b.lock", "x" * 200]:
        with space.lock(name) as guard:
            assert guard.is_held


def test_options_of_files_are_none_of_a_space(space):
    for option in ("mode", "linger", "owner_record", "fairness", "label", "nonsense"):
        with pytest.raises((TypeError, ValueError)):
            space.lock("a", **{option: None})
    with pytest.raises(TypeError, match="'create_dirs' is an option of locks at a path"):
        space.semaphore("b", 2, create_dirs=True)
    with pytest.raises(TypeError):
        space.rwlock("a", on_wait=1)


def test_handles_go_to_other_processes(space, url):
    copied = pickle.loads(pickle.dumps(space))
    assert copied.url == space.url
    handles = [space.lock("a"), space.rwlock("a"), space.semaphore("pool", 2)]
    lock, cache, pool = pickle.loads(pickle.dumps(handles))
    assert (lock.name, cache.name, pool.permits) == ("a", "a", 2)
    with space.lock("a"), pytest.raises(lockfast.WouldBlock):
        cache.try_read()
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as workers, space.lock("a"):
        assert workers.apply(try_to_take, (lock,)) == "WouldBlock"


def try_to_take(lock):
    try:
        lock.try_acquire()
    except lockfast.LockError as error:
        return type(error).__name__
    return "it was free"


def test_a_forked_child_holds_nothing(space, there, url):
    there.do(FORK)
    there.do("guard = lock.acquire()")
    assert there.do("in_child(lambda: guard.is_held)") == "False"
    assert there.do("in_child(lambda: guard.check())") == "NotHeld"
    assert there.do("in_child(lambda: guard.release())") == "NotHeld"
    there.do(f"again = lambda: lockfast.Space({url!r}).lock('a').try_acquire()")
    assert there.do("in_child(again)") == "WouldBlock"
    assert there.do("guard.state") == "valid"
    there.do("guard.release()")
    assert there.do("in_child(lambda: again().is_held)") == "True"


def test_the_environment_names_a_space(url, monkeypatch):
    monkeypatch.delenv("LOCKFAST_SPACE", raising=False)
    assert lockfast.Space.from_env() is None
    monkeypatch.setenv("LOCKFAST_SPACE", "")
    assert lockfast.Space.from_env() is None
    monkeypatch.setenv("LOCKFAST_SPACE", url)
    space = lockfast.Space.from_env()
    assert space.url == url.partition("?")[0]
    assert repr(space) == f"<lockfast.Space {space.url}>"


def test_a_space_is_diagnosed(space):
    checks = space.diagnose()
    assert checks and not [check for check in checks if check.verdict == "fail"], checks
    assert all(check.name and check.text for check in checks)


@pytest.mark.parametrize(
    "url, error",
    [
        ("file:///tmp?speed=high", lockfast.InvalidOption),
        ("etcd://127.0.0.1:1/p?speed=high", lockfast.InvalidOption),
        ("postgres://127.0.0.1:1/db?speed=high", lockfast.InvalidOption),
        ("redis://127.0.0.1", lockfast.LockError),
        ("nonsense", lockfast.LockError),
        ("etcd://me:hunter2@127.0.0.1:1/p", lockfast.InvalidOption),
        ("postgres://me:hunter2@127.0.0.1:1/p", lockfast.InvalidOption),
        ("etcd://127.0.0.1:1/p?timeout=200ms", lockfast.Unreachable),
        ("postgres://me@127.0.0.1:1/p?timeout=200ms", lockfast.Unreachable),
    ],
)
def test_urls_that_are_wrong(url, error):
    with pytest.raises(error) as caught:
        lockfast.Space(url)
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value)
    assert url.partition("?")[0].partition("@")[2] in str(caught.value)
    assert isinstance(caught.value, ConnectionError) == (error is lockfast.Unreachable)
