"""`acquire()` holds the lock until `release()`, and a lost guard is a warning."""

import os
import signal
import subprocess
import sys
import threading

import lockfast
import pytest
from stage import PATIENCE, Failed

#: The code that opens a primitive, and the expression that takes it. Nobody keeps the result.
HOLDS = [
    ("lockfast.Lock({path!r})", "lock.acquire()"),
    ("lockfast.Lock({path!r})", "lock.acquire(timeout=5)"),
    ("lockfast.Lock({path!r})", "lock.acquire(blocking=False)"),
    ("lockfast.Lock({path!r})", "lock.try_acquire()"),
    ("lockfast.Lock({path!r})", "asyncio.run(task(lock.acquire_async()))"),
    ("lockfast.ReentrantLock({path!r})", "lock.acquire()"),
    ("lockfast.RwLock({path!r})", "lock.read()"),
    ("lockfast.RwLock({path!r})", "lock.upgradable_read(timeout=5)"),
    ("lockfast.RwLock({path!r})", "lock.write(blocking=False)"),
    ("lockfast.RwLock({path!r})", "lock.upgradable_read().upgrade()"),
    ("lockfast.Semaphore({path!r}, 1)", "lock.acquire()"),
    ("lockfast.Semaphore({path!r}, 1)", "lock.try_acquire()"),
]
TASK = "async def task(wait):\n  return await wait"


@pytest.mark.parametrize(("opened", "taken"), HOLDS)
def test_it_is_held_until_it_is_released(path, actors, opened, taken):
    there = actors("import asyncio, lockfast, gc", TASK)
    there.do(f"lock = {opened.format(path=path)}")
    is_semaphore = "Semaphore" in opened
    here = lockfast.Semaphore(path, 1) if is_semaphore else lockfast.RwLock(path)
    attempt = here.try_acquire if is_semaphore else here.try_write
    # As a statement: not even the interpreter's `_` has it.
    there.do(f"exec({taken!r})")
    there.do("gc.collect()")
    with pytest.raises(lockfast.WouldBlock):
        attempt()
    there.do("lock.release()")
    attempt().release()
    with pytest.raises(Failed, match="NotHeld"):
        there.do("lock.release()")
    # As threading and all others are used.
    there.do(f"result = 'held' if {taken} else 'not'")
    assert there.do("result") == "held"
    with pytest.raises(lockfast.WouldBlock):
        attempt()


def test_several_are_held_by_their_locks(tmp_path):
    locks = [lockfast.Lock(tmp_path / name) for name in "ab"]
    lockfast.lock_all(locks)
    for lock in locks:
        with pytest.raises(lockfast.WouldBlock):
            lockfast.Lock(lock.path).try_acquire()
        lock.release()
    assert lockfast.try_lock_all(locks)
    for lock in locks:
        lock.release()


def test_a_refusal_is_no_false(path):
    lock, other = lockfast.Lock(path), lockfast.Lock(path)
    lock.acquire()
    with pytest.raises(lockfast.WouldBlock):
        other.acquire(blocking=False)
    with pytest.raises(lockfast.Timeout):
        other.acquire(timeout=0.01)
    with pytest.raises(ValueError, match="blocking=False"):
        other.acquire(blocking=False, timeout=1)
    lock.release()


def test_the_guard_and_the_lock_release_the_same(path):
    lock = lockfast.Lock(path)
    guard = lock.acquire()
    lock.release()
    assert not guard.is_held
    with pytest.raises(lockfast.NotHeld):
        guard.release()
    guard = lock.acquire()
    guard.release()
    with pytest.raises(lockfast.NotHeld):
        lock.release()
    with lock.acquire():
        pass
    with pytest.raises(lockfast.NotHeld):
        lock.release()
    with lock as guard:
        lock.release()
        assert not guard.is_held
        lock.try_acquire().release()
    with pytest.raises(lockfast.NotHeld):
        lock.release()


def in_a_thread(act):
    failed = []

    def run():
        try:
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_another_thread_may_release_a_lock(path):
    lock = lockfast.Lock(path)
    lock.acquire()
    in_a_thread(lock.release)
    lock.try_acquire()
    lock.release()


def test_a_thread_releases_its_own_of_several(path):
    cache = lockfast.RwLock(path)
    first, second = cache.read(), cache.read()
    kept = []
    in_a_thread(lambda: kept.append(cache.read()))
    # Two threads hold it, so the caller's is not known.
    with pytest.raises(lockfast.NotHeld, match="others hold it"):
        in_a_thread(cache.release)
    cache.release()
    assert not second.is_held and first.is_held and kept[0].is_held
    cache.release()
    assert not first.is_held and kept[0].is_held
    # It is the only one.
    cache.release()
    cache.try_write()
    cache.release()


def test_a_reentrant_lock_is_released_by_its_thread(path):
    lock = lockfast.ReentrantLock(path)
    lock.acquire()
    lock.acquire()
    with pytest.raises(lockfast.NotHeld):
        in_a_thread(lock.release)
    lock.release()
    with pytest.raises(lockfast.WouldBlock):
        lockfast.Lock(path).try_acquire()
    lock.release()
    lockfast.Lock(path).try_acquire().release()


def test_permits_are_all_alike(path):
    pool = lockfast.Semaphore(path, 3)
    pool.acquire(2)
    in_a_thread(pool.acquire)
    assert pool.available() == 0
    in_a_thread(pool.release)
    assert pool.available() == 2 or pool.available() == 1
    pool.release()
    assert pool.available() == 3


def test_a_block_ends_the_conversion_of_its_guard(path):
    cache = lockfast.RwLock(path)
    with cache.upgradable_read() as reader:
        writer = reader.upgrade()
        reading = writer.downgrade()
        assert reading.is_held and not writer.is_held
    assert not reading.is_held
    assert lockfast.inspect(path).is_free


WARNS = [
    "lockfast.Lock({path!r}).acquire()",
    "lockfast.RwLock({path!r}).read()",
    "lockfast.ReentrantLock({path!r}).acquire()",
    "lockfast.Semaphore({path!r}, 2).acquire()",
    "lockfast.lock_all([lockfast.Lock({path!r})])",
    "lock = lockfast.Lock({path!r}); lock.acquire(); del lock",
]


def warnings_of(code, *flags):
    done = subprocess.run(
        [sys.executable, "-B", *flags, "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("code", WARNS)
def test_a_lock_that_nobody_can_release_is_a_warning(path, code):
    after = f"print(lockfast.inspect({path!r}).is_free)"
    told = warnings_of(f"import lockfast\n{code.format(path=path)}\n{after}")
    assert f"{path} was dropped while it was held" in told
    assert "RuntimeWarning" in told and "True" in told


def test_a_warning_that_is_an_error_is_shown(path):
    code = f"import lockfast\nlockfast.Lock({path!r}).acquire()\nprint('alive')"
    told = warnings_of(code, "-W", "error")
    assert "was dropped while it was held" in told and "alive" in told


def test_a_wait_that_nobody_awaits_is_a_warning(path):
    told = warnings_of(
        "import asyncio, lockfast\n"
        f"lock = lockfast.Lock({path!r})\n"
        "async def main():\n"
        "  lock.acquire_async()\n"
        "  lockfast.RwLock(lock.path).write_async()\n"
        "  lockfast.lock_all_async([lock])\n"
        "asyncio.run(main())"
    )
    for name in ("Lock.acquire_async", "RwLock.write_async", "lock_all_async"):
        assert f"RuntimeWarning: coroutine '{name}' was never awaited" in told


QUIET = [
    "lock = lockfast.Lock({path!r}); lock.acquire()",
    "guard = lockfast.Lock({path!r}).acquire()",
    "guard = lockfast.Lock({path!r}).acquire(); guard.release(); del guard",
    "with lockfast.Lock({path!r}): pass",
    "with lockfast.Lock({path!r}).acquire(): pass",
    "lock = lockfast.Lock({path!r}); lock.acquire()\n"
    "if os.fork() == 0:\n  del lock\n  os._exit(0)\nos.wait()",
]


@pytest.mark.parametrize("code", QUIET)
def test_nothing_else_is_a_warning(path, code):
    assert warnings_of(f"import lockfast, os\n{code.format(path=path)}", "-X", "dev") == ""


def test_a_forked_child_releases_nothing(path):
    lock = lockfast.Lock(path)
    lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            lock.release()
        except lockfast.NotHeld:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(lockfast.WouldBlock):
        lockfast.Lock(path).try_acquire()
    lock.release()


def test_a_killed_holder_frees_forgotten_guards(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})", "exec('lock.acquire()')")
    with pytest.raises(lockfast.WouldBlock):
        lockfast.Lock(path).try_acquire()
    there.kill(signal.SIGKILL)
    lockfast.Lock(path).acquire().release()
