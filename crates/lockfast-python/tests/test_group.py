"""Several locks at once."""

import asyncio

import lockfast
import pytest
from stage import Failed, until_waits


@pytest.fixture
def locks(tmp_path):
    return [lockfast.Lock(tmp_path / name) for name in ("a.lock", "b.lock", "c.lock")]


def test_all_or_none(locks, actors):
    there = actors("import lockfast", f"guard = lockfast.Lock({locks[1].path!r}).acquire()")
    for attempt in (
        lambda: lockfast.try_lock_all(locks),
        lambda: lockfast.lock_all(locks, timeout=0.01),
        lambda: asyncio.run(as_task(locks, 0.01)),
    ):
        with pytest.raises((lockfast.WouldBlock, lockfast.Timeout)):
            attempt()
        locks[0].try_acquire().release()
    there.kill()
    with lockfast.lock_all(locks, timeout=60) as guards:
        assert [guard.path for guard in guards] == [lock.path for lock in locks]
    with lockfast.try_lock_all(iter(locks)):
        pass
    asyncio.run(as_task(locks, 60))
    for lock in locks:
        lock.try_acquire().release()


async def as_task(locks, timeout):
    async with lockfast.lock_all_async(locks, timeout=timeout) as guards:
        assert isinstance(guards, lockfast.Guards)
    (await lockfast.lock_all_async(locks, timeout=timeout)).release()


def test_opposite_orders_are_no_deadlock(locks, actors):
    paths = [lock.path for lock in locks]
    there = actors(
        "import lockfast",
        f"locks = [lockfast.Lock(path) for path in reversed({paths!r})]",
    )
    there.begin("for _ in range(300): lockfast.lock_all(locks).release()")
    for _ in range(300):
        lockfast.lock_all(locks).release()
    there.answer()


def test_members_of_all_sorts(tmp_path, actors):
    lock = lockfast.Lock(tmp_path / "a.lock")
    cache = lockfast.RwLock(tmp_path / "b.lock")
    pool = lockfast.Semaphore(tmp_path / "c.lock", 2)
    there = actors("import lockfast", f"cache = lockfast.RwLock({cache.path!r})")
    with lockfast.lock_all([pool, (cache, "read"), lock]) as (permit, reader, guard):
        assert isinstance(permit, lockfast.SemaphorePermit)
        assert isinstance(reader, lockfast.RwLockReadGuard)
        assert isinstance(guard, lockfast.LockGuard)
        there.do("cache.try_read().release()")
    with lockfast.lock_all([(cache, "upgradable_read")]) as (reader,):
        reader.upgrade().release()
    with lockfast.lock_all([(cache, "write")]):
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("cache.try_read()")


def test_a_guard_may_be_released_before(locks):
    with lockfast.lock_all(locks) as guards:
        guards[0].release()
    guards = lockfast.lock_all(locks)
    guards.release()
    with pytest.raises(lockfast.NotHeld):
        guards.release()
    del guards
    guards = lockfast.lock_all(locks)
    guards[0].release()
    with pytest.raises(lockfast.NotHeld):
        guards.release()
    # The others are released all the same.
    lockfast.try_lock_all(locks).release()
    lockfast.lock_all(locks)
    for lock in locks:
        lock.release()
    lockfast.try_lock_all(locks).release()


def test_a_wait_for_several(locks, actors):
    paths = [lock.path for lock in locks]
    there = actors("import lockfast", f"locks = [lockfast.Lock(p) for p in {paths!r}]")
    guard = locks[2].acquire()
    there.begin("guards = lockfast.lock_all(locks)")
    until_waits(locks[2].path, there.pid)
    guard.release()
    there.answer()


@pytest.mark.parametrize(
    "wrong, error",
    [
        (lambda lock, rw: lockfast.lock_all(lock), TypeError),
        (lambda lock, rw: lockfast.lock_all([1]), TypeError),
        (lambda lock, rw: lockfast.lock_all([rw]), TypeError),
        (lambda lock, rw: lockfast.lock_all([(lock, "read")]), TypeError),
        (lambda lock, rw: lockfast.lock_all([(rw, 1)]), TypeError),
        (lambda lock, rw: lockfast.lock_all([(rw, "readd")]), ValueError),
        (lambda lock, rw: lockfast.lock_all([lock], timeout=-1), ValueError),
        (lambda lock, rw: lockfast.lock_all([lock, lock]), lockfast.Deadlock),
    ],
)
def test_impossible_groups(tmp_path, wrong, error):
    with pytest.raises(error):
        wrong(lockfast.Lock(tmp_path / "a"), lockfast.RwLock(tmp_path / "b"))
    assert lockfast.lock_all([]) == ()
