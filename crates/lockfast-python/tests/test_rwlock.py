"""Readers together, writers alone, and conversions."""

import threading

import lockfast
import pytest
from stage import Failed, until, until_waits


@pytest.fixture
def there(path, actors):
    return actors("import lockfast", f"lock = lockfast.RwLock({path!r})")


def test_readers_share_and_writers_do_not(path, there):
    lock = lockfast.RwLock(path)
    there.do("guard = lock.read()")
    with lock.read() as guard:
        assert guard.is_held
    for attempt in (lock.try_write, lockfast.Lock(path).try_acquire):
        with pytest.raises(lockfast.WouldBlock):
            attempt()
    there.do("guard.release()")
    with lock.write():
        for attempt in ("lock.try_read()", "lock.try_write()", "lock.try_upgradable_read()"):
            with pytest.raises(Failed, match="WouldBlock"):
                there.do(attempt)


def test_readers_do_not_overtake_a_writer_that_waits(path, there, actors):
    reader = lockfast.RwLock(path).read()
    there.begin("guard = lock.write()")
    until_waits(path, there.pid)
    third = actors("import lockfast", f"lock = lockfast.RwLock({path!r})")
    with pytest.raises(Failed, match="WouldBlock"):
        third.do("lock.try_read()")
    reader.release()
    there.answer()


@pytest.mark.parametrize("way", ["read", "upgradable_read", "write"])
def test_time_outs(path, there, way):
    lock = lockfast.RwLock(path)
    there.do("guard = lock.write()")
    with pytest.raises(lockfast.Timeout):
        getattr(lock, way)(timeout=0.01)
    there.kill()
    with getattr(lock, way)(timeout=60) as guard:
        assert guard.path == path


def test_an_upgrade_has_no_writer_in_between(path, there):
    lock = lockfast.RwLock(path)
    reader = lock.upgradable_read()
    there.do("guard = lock.read()")
    with pytest.raises(Failed, match="WouldBlock"):
        there.do("lock.try_upgradable_read()")
    with pytest.raises(lockfast.WouldBlock):
        reader.try_upgrade()
    with pytest.raises(lockfast.Timeout):
        reader.upgrade(timeout=0.01)
    assert reader.is_held, "what failed to upgrade still reads"
    there.do("guard.release()")
    writer = reader.upgrade()
    assert writer.is_held and not reader.is_held
    with pytest.raises(Failed, match="WouldBlock"):
        there.do("lock.try_read()")
    with pytest.raises(lockfast.NotHeld):
        reader.upgrade()


def test_downgrades_let_readers_in(path, there):
    lock = lockfast.RwLock(path)
    writer = lock.write()
    upgradable = writer.downgrade_to_upgradable()
    there.do("guard = lock.read()")
    with pytest.raises(Failed, match="WouldBlock"):
        there.do("lock.try_upgradable_read()")
    reader = upgradable.downgrade()
    there.do("other = lock.try_upgradable_read()")
    reader.release()
    there.do("other.release()")
    there.do("guard.release()")
    with lock.write() as writer:
        with writer.downgrade() as reader:
            assert reader.is_held and not writer.is_held
            there.do("guard = lock.try_read()")


def test_guards_are_handed_over(path):
    lock = lockfast.RwLock(path)
    for take in (lock.read, lock.upgradable_read, lock.write):
        guard = take()
        with pytest.raises(lockfast.Deadlock):
            lockfast.RwLock(path).write()
        guard.hand_over()

        # Another thread releases it, so this one may wait.
        def release(guard=guard):
            until(lambda: lockfast.inspect(path).waiters)
            guard.release()

        thread = threading.Thread(target=release)
        thread.start()
        lockfast.RwLock(path).write().release()
        thread.join()
