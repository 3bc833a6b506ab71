"""`InterProcessLock` of the drop-in: what programs rely on that fasteners' own tests do not look at."""

import gc
import os
import pickle
import threading
import time
import weakref

import lockfast.fasteners as fasteners
import pytest
from stage import Failed, descriptors, until_waits


def is_locked(path, actors):
    attempt = actors("import fcntl", f"file = open({path!r}, 'r+')")
    try:
        attempt.do("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)")
    except Failed:
        return True
    attempt.kill()
    return False


def test_attributes_of_a_lock(path):
    lock = fasteners.InterProcessLock(path)
    assert not os.path.exists(path) and not lock.exists()
    assert (lock.acquired, lock.lockfile, lock.path) == (False, None, path.encode())
    assert (lock.MAX_DELAY, lock.DELAY_INCREMENT) == (0.1, 0.01)
    assert lock.sleep_func is time.sleep and lock.logger.name == "fasteners.process_lock"
    assert lock.acquire() is True
    assert lock.acquired and lock.exists()
    assert lock.lockfile.fileno() >= 0 and not lock.lockfile.closed
    assert lock.release() is None
    assert (lock.acquired, lock.lockfile) == (False, None)
    assert lock.exists(), "the file stays"
    os.unlink(path)
    assert not lock.exists()


def test_the_descriptor_is_closed_by_the_release(path):
    lock = fasteners.InterProcessLock(path)
    for _ in range(10):
        lock.acquire()
        assert descriptors(path) == 1
        lock.release()
        assert descriptors(path) == 0
    with lock:
        file = lock.lockfile
    assert file.closed and descriptors(path) == 0


def test_few_files_stay_open_where_locks_are_taken_again_and_again(tmp_path):
    locks = [fasteners.InterProcessLock(tmp_path / str(number)) for number in range(20)]
    for _ in range(100):
        for lock in locks[:2]:
            with lock:
                pass
    for lock in locks:
        for _ in range(100):
            with lock:
                pass
    assert 0 < sum(descriptors(tmp_path / str(number)) for number in range(20)) <= 8
    del lock, locks
    gc.collect()
    assert sum(descriptors(tmp_path / str(number)) for number in range(20)) == 0


def test_the_descriptor_is_closed_by_a_failed_acquire(path, holder):
    locks = [fasteners.InterProcessLock(path) for _ in range(10)]
    for lock in locks:
        assert lock.acquire(blocking=False) is False
        assert lock.acquire(timeout=0.001) is False
        assert not lock.acquired and lock.lockfile is None
    assert descriptors(path) == 0


def test_the_kernel_lock_is_of_the_fcntl_family(path, actors):
    there = actors("import fcntl", f"file = open({path!r}, 'a')")
    with fasteners.InterProcessLock(path):
        there.do("fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)")
        with pytest.raises(Failed):
            there.do("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)")


def test_time_outs(path, holder):
    lock = fasteners.InterProcessLock(path)
    for keywords in (
        {"timeout": 0},
        {"timeout": 0.02},
        {"blocking": False},
        {"blocking": False, "timeout": 1000},
        {"blocking": True, "delay": 0.001, "max_delay": 0.002, "timeout": 0.01},
    ):
        assert lock.acquire(**keywords) is False
        with pytest.raises(RuntimeError, match="Unable to release an unaquired lock"):
            lock.release()
    holder.kill()
    for keywords in ({"timeout": 0}, {"timeout": float("nan")}, {"timeout": float("inf")}):
        assert lock.acquire(**keywords) is True
        lock.release()
    assert lock.acquire(True, 0.01, 0.1, 5) is True
    lock.release()


@pytest.mark.parametrize("timeout", ["", "timeout=1000", "timeout=float('nan')"])
def test_a_waiter_sleeps_in_the_kernel(path, actors, timeout):
    there = actors(
        "import lockfast.fasteners, time",
        f"lock = lockfast.fasteners.InterProcessLock({path!r})",
    )
    lock = fasteners.InterProcessLock(path)
    lock.acquire()
    there.begin(f"lock.acquire({timeout})")
    until_waits(path, there.pid)
    lock.release()
    assert there.answer() is True


def test_an_instance_acquired_again(path, actors):
    lock = fasteners.InterProcessLock(path)
    assert lock.acquire() and lock.acquire()
    lock.release()
    assert not is_locked(path, actors)
    with pytest.raises(RuntimeError, match="Unable to release an unaquired lock"):
        lock.release()
    with pytest.raises(RuntimeError):
        with lock, lock:
            assert lock.acquired


def test_the_second_instance_is_refused(path, actors):
    one, two = fasteners.InterProcessLock(path), fasteners.InterProcessLock(path)
    with one:
        assert two.acquire(blocking=False) is False
        assert two.acquire(timeout=0.001) is False
        with pytest.raises(RuntimeError, match="this thread holds it|Resource deadlock"):
            two.acquire()
        del two
        assert is_locked(path, actors)


def test_threads_exclude_each_other(path):
    lock = fasteners.InterProcessLock(path)
    count = 0

    def add(lock):
        nonlocal count
        for _ in range(300):
            with lock:
                before = count
                # Lets others run, where they could get in.
                time.sleep(0)
                count = before + 1

    class ByHand(fasteners.InterProcessLock):
        def trylock(self):
            super().trylock()

    def sleep(seconds):
        time.sleep(seconds / 100)

    by_hand = ByHand(path, sleep_func=sleep)
    locks = [lock, lock, by_hand, by_hand, fasteners.InterProcessLock(path)]
    locks.append(fasteners.InterProcessLock(path, sleep_func=sleep))
    threads = [threading.Thread(target=add, args=(one,)) for one in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 1800


def test_threads_share_no_lock(path):
    class ByHand(fasteners.InterProcessLock):
        def trylock(self):
            super().trylock()

    for lock in (fasteners.InterProcessLock(path), ByHand(path)):
        answers = []

        def attempt(lock=lock, answers=answers):
            answers.append(lock.acquire(blocking=False))
            answers.append(lock.acquire(timeout=0.001))

        with lock:
            thread = threading.Thread(target=attempt)
            thread.start()
            thread.join()
            assert answers == [False, False]
            assert lock.acquired and not lock.lockfile.closed


def test_another_thread_may_release(path):
    lock = fasteners.InterProcessLock(path)
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    assert not lock.acquired
    assert lock.acquire(blocking=False)
    lock.release()


def test_closing_the_file_elsewhere_frees_nothing(path, actors):
    with fasteners.InterProcessLock(path) as lock:
        open(path).close()
        lock.lockfile.close()
        assert is_locked(path, actors)
    assert not is_locked(path, actors)


def test_content_written_through_lockfile(path):
    with open(path, "w") as file:
        file.write("before ")
    with fasteners.InterProcessLock(path) as lock:
        lock.lockfile.write("after")
    with open(path) as file:
        assert file.read() == "before after"


def test_weak_references_attributes_and_pickles(path):
    lock = fasteners.InterProcessLock(path)
    assert weakref.ref(lock)() is lock
    lock.anything = 1
    assert pickle.loads(pickle.dumps(lock)).path == lock.path
    with lock:
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(lock)


def test_a_lock_that_is_dropped_while_held_is_free(path, actors):
    lock = fasteners.InterProcessLock(path)
    lock.acquire()
    del lock
    assert not is_locked(path, actors)


def test_a_forked_child_holds_nothing_and_frees_nothing(path, actors):
    there = actors(
        "import lockfast.fasteners, os",
        f"lock = lockfast.fasteners.InterProcessLock({path!r})",
        "lock.acquire()",
        "def child():\n"
        "  if not os.fork():\n"
        "    ok = lock.acquire(blocking=False) is False\n"
        "    lock.release()\n"
        "    ok = ok and lock.acquire(timeout=0.001) is False\n"
        "    os._exit(0 if ok else 1)\n"
        "  return os.wait()[1]\n",
    )
    assert there.do("child()") == 0
    assert is_locked(path, actors)
    there.do("lock.release()")
    assert not is_locked(path, actors)


def test_messages(path, tmp_path, caplog):
    caplog.set_level(fasteners._utils.BLATHER, "fasteners.process_lock")
    deep = os.fsencode(tmp_path / "new" / "a.lock")
    with fasteners.InterProcessLock(deep):
        pass
    told = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    directory = os.path.dirname(deep)
    assert told[0] == (
        "fasteners.process_lock",
        "Level 5",
        f"Created lock base path `{directory!r}`",
    )
    assert told[1][2].startswith(f"Acquired file lock `{deep!r}` after waiting 0.0")
    assert told[1][2].endswith("s [1 attempts were required]")
    assert told[2][2] == f"Unlocked and closed file lock open on `{deep!r}`"
    assert len(told) == 3
    caplog.clear()
    lock = fasteners.InterProcessLock(path)
    lock.logger.disabled = True
    try:
        with lock:
            pass
    finally:
        lock.logger.disabled = False
    assert not caplog.records
