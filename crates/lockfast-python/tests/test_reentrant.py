"""A lock that its thread may take again."""

import threading

import lockfast
import pytest
from stage import Failed


def test_the_thread_may_take_it_again_and_others_may_not(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})")
    lock = lockfast.ReentrantLock(path)
    with lock:
        second = lock.acquire(timeout=1)
        with lock.try_acquire():
            refused = []

            def attempt():
                try:
                    lock.try_acquire()
                except lockfast.WouldBlock as error:
                    refused.append(error)

            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()
            assert refused
    with pytest.raises(Failed, match="WouldBlock"):
        there.do("lock.try_acquire()")
    second.release()
    there.do("lock.try_acquire().release()")
    with pytest.raises(lockfast.NotHeld):
        second.release()


def test_a_thread_that_is_new_is_not_the_one_that_ended(path):
    lock = lockfast.ReentrantLock(path)
    guards, refused = [], []

    def take():
        try:
            guards.append(lock.try_acquire())
        except lockfast.WouldBlock:
            refused.append(True)

    for _ in range(10):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert len(guards) == 1 and len(refused) == 9


def test_a_guard_knows_the_depth_and_the_owners(path, actors):
    there = actors("import lockfast", f"lock = lockfast.ReentrantLock({path!r}, owner_record=True)")
    there.do("guard = lock.acquire()")
    assert there.do("guard.token") == 1 and there.do("guard.abandoned") is None
    pid = there.pid
    there.kill()
    lock = lockfast.ReentrantLock(path, owner_record=True)
    with lock as outer:
        with lock as inner:
            assert outer.depth == inner.depth == 2
            assert outer.token == inner.token == 2
            assert inner.abandoned.pid == pid
        assert (outer.depth, inner.depth) == (1, 0)
        assert inner.token is None
