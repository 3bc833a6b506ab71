"""Permits."""

import os
import threading

import lockfast
import pytest
from stage import Failed, until_waits


def test_so_many_and_no_more(path, actors):
    there = actors("import lockfast", f"pool = lockfast.Semaphore({path!r}, 3)")
    pool = lockfast.Semaphore(path, 3)
    assert pool.permits == 3
    there.do("permit = pool.acquire(2)")
    assert pool.available() == 1
    with pool as permit:
        assert permit.count == 1
        for attempt in (pool.try_acquire, lambda: pool.acquire(timeout=0.01)):
            with pytest.raises(lockfast.LockError) as caught:
                attempt()
            assert isinstance(caught.value, (lockfast.WouldBlock, lockfast.Timeout))
    with pytest.raises(lockfast.WouldBlock):
        pool.try_acquire(2)
    there.kill()
    with pool.acquire(3, timeout=60) as permit:
        assert permit.count == 3


def test_a_waiter_is_woken(path, actors):
    there = actors("import lockfast", f"pool = lockfast.Semaphore({path!r}, 1)")
    permit = lockfast.Semaphore(path, 1).acquire()
    there.begin("permit = pool.acquire()")
    until_waits(path, there.pid)
    permit.release()
    there.answer()


def test_a_waiter_gets_as_many_as_it_asked_for(path, actors):
    there = actors("import lockfast", f"pool = lockfast.Semaphore({path!r}, 3)")
    pool = lockfast.Semaphore(path, 3)
    permit = pool.acquire(3)
    there.begin("permit = pool.acquire(2)")
    until_waits(path, there.pid)
    permit.release()
    there.answer()
    assert there.do("permit.count") == 2
    assert pool.available() == 1
    there.do("permit.release()")
    assert pool.available() == 3


def test_each_thread_leaves_its_own_block(path):
    pool = lockfast.Semaphore(path, 2)
    inside, leave = threading.Event(), threading.Event()

    def visit():
        with pool as permit:
            permits.append(permit)
            inside.set()
            leave.wait(60)

    permits = []
    thread = threading.Thread(target=visit)
    thread.start()
    assert inside.wait(60)
    with pool as permit:
        leave.set()
        thread.join()
        # That one was not the last to enter.
        assert permit.is_held and not permits[0].is_held


def test_requests_that_can_never_succeed(path, actors):
    with pytest.raises(ValueError):
        lockfast.Semaphore(path, 0)
    for number in (-1, 2**32, 10**30):
        with pytest.raises(ValueError, match="not " + str(number)):
            lockfast.Semaphore(path, number)
        with pytest.raises(ValueError, match="not " + str(number)):
            lockfast.Semaphore(path, 3).try_acquire(number)
    with pytest.raises(TypeError):
        lockfast.Semaphore(path, "3")
    with pytest.raises(TypeError):
        lockfast.Semaphore(path)
    pool = lockfast.Semaphore(path, 3)
    with pytest.raises(ValueError, match="4 at once, of 3"):
        pool.acquire(4)
    there = actors("import lockfast")
    with pytest.raises(Failed, match="InvalidOption"):
        there.do(f"lockfast.Semaphore({path!r}, 4)")


def test_a_permit_knows_whether_its_file_is_current(path):
    permit = lockfast.Semaphore(path, 2).acquire()
    assert permit.is_current()
    os.unlink(path)
    assert not permit.is_current()
    permit.release()
    assert not permit.is_current()
