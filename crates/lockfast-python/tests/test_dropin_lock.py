"""`InterProcessLock` of the drop-in: what programs rely on that fasteners' own tests do not look at."""

import errno
import gc
import os
import pathlib
import pickle
import threading
import time
import weakref

import lockfast.fasteners as fasteners
import pytest
from stage import Failed, descriptors, until_waits

HOLDER = ("import fcntl, os", "file = open({path!r}, 'a')", "fcntl.lockf(file, fcntl.LOCK_EX)")


@pytest.fixture
def holder(path, actors):
    return actors(*(line.format(path=path) for line in HOLDER))


def is_locked(path, actors):
    attempt = actors("import fcntl", f"file = open({path!r}, 'r+')")
    try:
        attempt.do("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)")
    except Failed:
        return True
    attempt.kill()
    return False


def test_what_a_lock_shows(path):
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


@pytest.mark.parametrize("timeout", ["", "timeout=1000"])
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


@pytest.mark.parametrize(
    "keywords, error, text",
    [
        ({"delay": -1}, ValueError, "Delay must be greater than or equal to zero"),
        ({"timeout": -1}, ValueError, "Timeout must be greater than or equal to zero"),
        ({"timeout": "1"}, TypeError, None),
        ({"delay": None}, TypeError, None),
    ],
)
def test_delays_and_time_outs_are_looked_at_before_the_file(path, keywords, error, text):
    lock = fasteners.InterProcessLock(path)
    readers = fasteners.InterProcessReaderWriterLock(path)
    for acquire in (lock.acquire, readers.acquire_read_lock, readers.acquire_write_lock):
        with pytest.raises(error, match=text):
            acquire(**keywords)
    assert not os.path.exists(path)


def test_a_sleep_function_is_called_at_the_intervals_of_fasteners(path, holder):
    naps = []

    def sleep(seconds):
        naps.append(round(seconds, 6))
        if len(naps) == 12:
            holder.kill()

    lock = fasteners.InterProcessLock(path, sleep_func=sleep)
    assert lock.acquire() is True
    assert naps == [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.1, 0.1]
    lock.release()


@pytest.mark.parametrize(
    "keywords, expected",
    [
        ({"delay": 0.2, "max_delay": 0.05}, [0.2, 0.2, 0.2]),
        ({"delay": 0.05, "max_delay": 10}, [0.05, 0.1, 0.15]),
        ({"delay": 0}, [0, 0, 0]),
    ],
)
def test_delays(path, holder, keywords, expected):
    class Enough(Exception):
        pass

    naps = []

    def sleep(seconds):
        naps.append(round(seconds, 6))
        if len(naps) == 3:
            raise Enough

    for acquire in (
        fasteners.InterProcessLock(path, sleep).acquire,
        fasteners.InterProcessReaderWriterLock(path, sleep).acquire_read_lock,
        fasteners.InterProcessReaderWriterLock(path, sleep).acquire_write_lock,
    ):
        naps.clear()
        with pytest.raises(Enough):
            acquire(**keywords)
        assert naps == expected
    assert descriptors(path) == 0


def test_a_nap_is_no_longer_than_what_is_left(path, holder):
    naps = []
    lock = fasteners.InterProcessLock(path, sleep_func=lambda s: naps.append(s) or time.sleep(s))
    assert lock.acquire(delay=5, timeout=0.02) is False
    assert max(naps) <= 0.02


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
                os.sched_yield()
                count = before + 1

    locks = [lock, lock, fasteners.InterProcessLock(path), lambda: None]
    locks[3] = fasteners.InterProcessLock(path, sleep_func=lambda s: time.sleep(s / 100))
    threads = [threading.Thread(target=add, args=(one,)) for one in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 1200


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


def test_what_is_written_through_lockfile(path):
    with open(path, "w") as file:
        file.write("before ")
    with fasteners.InterProcessLock(path) as lock:
        lock.lockfile.write("after")
    with open(path) as file:
        assert file.read() == "before after"


def test_a_deleted_file_lets_nobody_in_twice(path):
    one, two = fasteners.InterProcessLock(path), fasteners.InterProcessLock(path)
    for _ in range(40):
        with one:
            pass
    os.unlink(path)
    with one:
        assert two.acquire(blocking=False) is False


def test_a_link_that_leads_elsewhere_is_followed_there(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to("a")
    lock = fasteners.InterProcessLock(link / "x.lock")
    for _ in range(40):
        with lock:
            pass
    link.unlink()
    link.symlink_to("b")

    def is_there():
        with lock:
            return (tmp_path / "b" / "x.lock").exists()

    # It may have stayed open for some milliseconds.
    deadline = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < deadline


def test_a_relative_path_starts_where_the_program_is(tmp_path, monkeypatch):
    lock = fasteners.InterProcessLock("x.lock")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for _ in range(40):
            with lock:
                assert (tmp_path / name / "x.lock").exists()


def test_paths_of_all_sorts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = os.fsencode(tmp_path) + b"/\xff.lock"
    for path, same in [
        (odd, odd),
        (os.fsdecode(odd), odd),
        (pathlib.Path("a/b/c.lock"), b"a/b/c.lock"),
        (123, b"123"),
        (None, b"None"),
    ]:
        lock = fasteners.InterProcessLock(path)
        assert lock.path == same
        with lock:
            assert os.path.exists(same) and lock.exists()


@pytest.mark.parametrize(
    "path, error",
    [
        ("", FileNotFoundError),
        ("x\0y", ValueError),
        ("{dir}", IsADirectoryError),
        ("{dir}/file/x.lock", (FileExistsError, NotADirectoryError)),
        ("/proc/1/x.lock", OSError),
    ],
)
def test_errors_of_opening_are_pythons_own(tmp_path, path, error):
    (tmp_path / "file").touch()
    path = path.format(dir=tmp_path)
    lock = fasteners.InterProcessLock(path)
    readers = fasteners.InterProcessReaderWriterLock(path)
    for acquire in (lock.acquire, readers.acquire_read_lock, readers.acquire_write_lock):
        with pytest.raises(error):
            acquire()
        with pytest.raises(error):
            acquire(blocking=False)
    assert lock.lockfile is None and not lock.acquired


def test_symbolic_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to("file")
    with fasteners.InterProcessLock(tmp_path / "link"):
        assert (tmp_path / "file").exists()


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RuntimeError, match="Unable to acquire lock on"):
        fasteners.InterProcessLock(tmp_path / "fifo").acquire()


def test_trylock_and_unlock_are_about_the_file_that_is_there(path, holder):
    lock = fasteners.InterProcessLock("elsewhere")
    for call in (lock.trylock, lock.unlock):
        with pytest.raises(TypeError, match="argument must be an int, or have a fileno"):
            call()
    lock.lockfile = open(path, "a")
    with pytest.raises(BlockingIOError) as caught:
        lock.trylock()
    assert caught.value.errno == errno.EAGAIN
    holder.kill()
    assert lock.trylock() is None
    assert not lock.acquired
    assert lock.unlock() is None
    lock.lockfile.close()


def test_what_a_subclass_overrides_is_called(path):
    calls = []

    class Mine(fasteners.InterProcessLock):
        def trylock(self):
            calls.append("trylock")
            super().trylock()

        def unlock(self):
            calls.append("unlock")
            super().unlock()

    with Mine(path) as lock:
        assert calls == ["trylock"] and lock.acquired
    assert calls == ["trylock", "unlock"]

    class Busy(fasteners.InterProcessLock):
        def trylock(self):
            raise OSError(errno.EBUSY, "no")

    lock = Busy(path)
    with pytest.raises(RuntimeError, match="Unable to acquire lock on `b'.*'` due to"):
        lock.acquire()
    assert descriptors(path) == 0

    class Contended(Mine):
        left = 3

        def trylock(self):
            self.left -= 1
            if self.left:
                raise OSError(errno.EAGAIN, "not yet")
            super().trylock()

    assert Contended(path).acquire(delay=0) is True


def test_what_an_instance_overrides_is_called(path):
    lock = fasteners.InterProcessLock(path)
    calls = []
    lock.trylock = lambda: calls.append("trylock")
    lock.unlock = lambda: calls.append("unlock")
    with lock:
        pass
    assert calls == ["trylock", "unlock"]


def test_an_error_of_unlock(path):
    class Fails(fasteners.InterProcessLock):
        def unlock(self):
            raise OSError(errno.EIO, "no")

    lock = Fails(path)
    lock.acquire()
    with pytest.raises(RuntimeError, match="Could not unlock the acquired lock opened on `b'"):
        lock.release()
    assert lock.acquired


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
