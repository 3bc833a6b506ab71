"""Guards say whether their lock is still held. (Locks that are lost are in `test_space_servers.py`.)"""

import asyncio
import threading
import weakref

import lockfast
import pytest
from stage import PATIENCE, Failed

GUARDS = [
    "lockfast.Lock(path).acquire()",
    "lockfast.ReentrantLock(path).acquire()",
    "lockfast.RwLock(path).read()",
    "lockfast.RwLock(path).upgradable_read()",
    "lockfast.RwLock(path).write()",
    "lockfast.Semaphore(path, 2).acquire()",
]


@pytest.fixture(params=GUARDS)
def guard(request, path):
    with eval(request.param, {"lockfast": lockfast, "path": path}) as guard:
        yield guard


def test_the_lock_of_a_file_is_held_until_its_release(guard):
    assert (guard.state, guard.epoch, guard.lease_left, guard.token) == ("valid", 0, None, None)
    guard.check()
    assert guard.wait_lost(0) is False
    assert guard.wait_lost(timeout=0.001) is False
    guard.release()
    assert (guard.state, guard.epoch, guard.lease_left, guard.token) == ("released", 0, None, None)
    for use in (guard.check, guard.wait_lost, lambda: guard.on_lost(print)):
        with pytest.raises(lockfast.NotHeld, match="released before"):
            use()


def test_a_wait_for_the_loss_ends_with_the_guard(guard):
    answers = []

    def wait():
        try:
            answers.append(guard.wait_lost())
        except lockfast.NotHeld:
            answers.append("it was too late to wait")

    thread = threading.Thread(target=wait)
    thread.start()
    guard.release()
    thread.join(PATIENCE)
    assert answers in ([False], ["it was too late to wait"])


def test_a_token_ends_a_wait_for_the_loss(path):
    token, answers = lockfast.CancelToken(), []
    with lockfast.Lock(path) as guard:
        thread = threading.Thread(target=lambda: answers.append(guard.wait_lost(cancel=token)))
        thread.start()
        token.cancel()
        thread.join()
        assert answers == [False]


def test_an_interrupt_ends_a_wait_for_the_loss(path, actors):
    there = actors("import lockfast", f"guard = lockfast.Lock({path!r}).acquire()")
    there.do("import os, threading, signal")
    there.do("timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))")
    there.begin("[timer.start(), guard.wait_lost()]")
    with pytest.raises(Failed, match="KeyboardInterrupt"):
        there.answer()
    assert there.do("guard.state") == "valid"


def test_a_task_that_waits_for_the_loss(path):
    async def main():
        async with lockfast.Lock(path) as guard:
            task = asyncio.ensure_future(guard.lost())
            await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(guard.lost(), 0.01)

    asyncio.run(main())


def test_a_callback_is_taken_back(guard):
    callback = guard.on_lost(pytest.fail)
    callback.cancel()
    callback.cancel()
    kept = guard.on_lost(pytest.fail)
    guard.release()
    kept.cancel()


def test_a_callback_goes_with_the_guard(guard):
    """It keeps neither the function nor what the function has."""

    class Told:
        def __call__(self):
            pytest.fail("the lock is held")

    told = Told()
    gone = weakref.ref(told)
    guard.on_lost(told)
    del told
    assert gone() is not None
    guard.release()
    assert gone() is None


def test_the_epoch_and_the_token_of_an_owner_record(path):
    lock = lockfast.Lock(path, owner_record=True)
    tokens = []
    for _ in range(2):
        with lock as guard:
            tokens.append(guard.token)
    assert tokens[1] == tokens[0] + 1


def test_a_handle_knows_its_name_and_its_features(path):
    lock, cache = lockfast.Lock(path, fairness="fifo", owner_record=True), lockfast.RwLock(path)
    assert lock.name is None and lock.path == path
    assert (lock.capabilities.fifo, lock.capabilities.token) == (True, True)
    has = cache.capabilities
    assert has.shared and has.conversions
    assert not has.fifo and not has.token and not has.lease
    assert lockfast.Lock.named("lockfast-test-name").name == "lockfast-test-name"
