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
