"""Exclusion among processes, threads and handles, and the attributes of a guard."""

import datetime
import errno
import gc
import os
import threading
import time
from fractions import Fraction

import lockfast
import pytest
from stage import Failed, descriptors, until, until_waits

OTHER = ["import lockfast", "lock = lockfast.Lock({path!r})"]


def other(actors, path):
    return actors(*(line.format(path=path) for line in OTHER))


def test_nothing_is_locked_by_opening(path):
    lock = lockfast.Lock(path)
    assert lock.path == path
    assert os.path.exists(path)
    assert lockfast.inspect(path).is_free


def test_processes_exclude_each_other(path, actors):
    there = other(actors, path)
    with lockfast.Lock(path):
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("lock.try_acquire()")
    there.do("guard = lock.try_acquire()")
    with pytest.raises(lockfast.WouldBlock) as caught:
        lockfast.Lock(path).try_acquire()
    assert caught.value.holder.pid == there.pid
    assert str(there.pid) in str(caught.value)
    assert caught.value.filename == path
    assert isinstance(caught.value, BlockingIOError)
    assert caught.value.errno == errno.EAGAIN


def test_a_waiter_sleeps_in_the_kernel_and_is_woken(path, actors):
    there = other(actors, path)
    lock = lockfast.Lock(path)
    guard = lock.acquire()
    there.begin("guard = lock.acquire()")
    until_waits(path, there.pid)
    assert there.is_silent()
    guard.release()
    there.answer()
    assert there.do("guard.is_held")


def test_a_killed_holder_frees_it(path, actors):
    holder, waiter = other(actors, path), other(actors, path)
    holder.do("guard = lock.acquire()")
    waiter.begin("guard = lock.acquire()")
    until_waits(path, waiter.pid)
    holder.kill()
    waiter.answer()
    assert waiter.do("guard.is_held")


def test_handles_of_one_process_exclude_each_other(path):
    one, two = lockfast.Lock(path), lockfast.Lock(path)
    with one:
        with pytest.raises(lockfast.WouldBlock):
            two.try_acquire()
    two.try_acquire().release()


def test_threads_exclude_each_other(path):
    lock = lockfast.Lock(path)
    count = 0

    def add():
        nonlocal count
        for _ in range(500):
            with lock:
                before = count
                # Lets others run, where they could get in.
                time.sleep(0)
                count = before + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 2000


@pytest.mark.parametrize(
    "timeout", [0, 0.01, 1e-9, datetime.timedelta(milliseconds=10), Fraction(1, 100)]
)
def test_a_time_out_is_an_exception(path, timeout):
    lock, other = lockfast.Lock(path), lockfast.Lock(path)
    with lock:
        with pytest.raises(lockfast.Timeout) as caught:
            other.acquire(timeout=timeout)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.errno == errno.ETIMEDOUT
    assert isinstance(caught.value, lockfast.LockError)
    assert isinstance(caught.value, OSError)
    with other.acquire(timeout=timeout) as guard:
        assert guard.is_held


def test_a_time_out_without_end_waits(path, actors):
    there = other(actors, path)
    guard = lockfast.Lock(path).acquire()
    there.begin("guard = lock.acquire(timeout=float('inf'))")
    until_waits(path, there.pid)
    guard.release()
    there.answer()


def test_a_failed_attempt_and_closes_elsewhere_free_nothing(path, actors):
    there = other(actors, path)
    lock = lockfast.Lock(path)
    with lock:
        second = lockfast.Lock(path)
        with pytest.raises(lockfast.WouldBlock):
            second.try_acquire()
        del second
        with open(path):
            pass
        with pytest.raises(Failed, match="WouldBlock"):
            there.do("lock.try_acquire()")


def test_a_guard_is_an_object(path):
    lock = lockfast.Lock(path)
    guard = lock.acquire()
    assert guard.is_held and guard.path == path and guard.is_current()
    assert os.fstat(guard.fileno()).st_ino == os.stat(path).st_ino
    assert "held" in repr(guard)
    os.rename(path, path + "2")
    assert not guard.is_current()
    guard.release()
    assert not guard.is_held
    assert "released" in repr(guard)


def test_a_guard_in_a_circle_is_collected(path):
    class Thing(lockfast.Lock):
        pass

    thing = Thing(path)
    thing.itself, thing.guard = thing, thing.acquire()
    with pytest.raises(lockfast.WouldBlock):
        lockfast.Lock(path).try_acquire()
    del thing
    with pytest.warns(RuntimeWarning, match="a.lock was dropped while it was held"):
        gc.collect()
    lockfast.Lock(path).try_acquire().release()


def test_a_block_releases_when_it_raises(path):
    lock = lockfast.Lock(path)
    for enter in (lambda: lock, lock.acquire):
        with pytest.raises(KeyError):
            with enter():
                raise KeyError
        assert lockfast.inspect(path).is_free


def test_a_guard_may_be_released_in_its_block(path):
    lock = lockfast.Lock(path)
    with lock as guard:
        guard.release()
        lock.try_acquire().release()
    with lock.acquire() as guard:
        guard.release()


def test_the_thread_that_holds_it_is_told_of_the_deadlock(path):
    lock = lockfast.Lock(path)
    with lock as guard:
        with pytest.raises(lockfast.Deadlock) as caught:
            lock.acquire()
        assert isinstance(caught.value, RuntimeError)
        assert caught.value.errno == errno.EDEADLK
        guard.hand_over()
        # Another thread releases it, so this one may wait.
        thread = threading.Thread(target=release_when_waited_for, args=(path, guard))
        thread.start()
        lockfast.Lock(path).acquire().release()
        thread.join()


def release_when_waited_for(path, guard):
    until(lambda: lockfast.inspect(path).waiters)
    guard.release()


def test_a_handle_that_is_dropped_leaves_no_descriptor(path):
    lock = lockfast.Lock(path)
    with lock:
        assert descriptors(path) == 1
    del lock
    assert descriptors(path) == 0


def test_a_deleted_file_lets_nobody_in_twice(path, actors):
    there = other(actors, path)
    lock = lockfast.Lock(path)
    with lock:
        os.unlink(path)
    there.do("guard = lock.acquire()")
    with pytest.raises(lockfast.WouldBlock):
        lock.try_acquire()


def test_locks_by_name(tmp_path, actors):
    name = f"lockfast-test-{os.getpid()}"
    there = actors("import lockfast", f"guard = lockfast.Lock.named({name!r}).acquire()")
    with pytest.raises(lockfast.WouldBlock):
        lockfast.Lock.named(name).try_acquire()
    there.kill()
    lock = lockfast.Lock.named(name, scope="user")
    lock.try_acquire().release()
    machine = lockfast.Lock.named(name, scope="machine")
    assert machine.path != lock.path
    os.unlink(machine.path)
    os.unlink(lock.path)
