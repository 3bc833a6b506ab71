"""Bad input: the exception that is expected, and never anything worse."""

import datetime
import errno
import fractions
import os
import pathlib
import threading

import lockfast
import pytest


class Pathlike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize(
    "wrong, error",
    [
        (None, TypeError),
        (1, TypeError),
        ([97], TypeError),
        (object(), TypeError),
        (Pathlike(1), TypeError),
        ("a\0b", ValueError),
        (b"a\0b", ValueError),
        ("", lockfast.InvalidPath),
        (b"", lockfast.InvalidPath),
        ("/", lockfast.InvalidPath),
        ("/dev/null", lockfast.InvalidPath),
        ("/proc/version/x", lockfast.LockError),
        ("x" * 10_000, lockfast.LockError),
    ],
)
@pytest.mark.parametrize("primitive", [lockfast.Lock, lockfast.RwLock, lockfast.ReentrantLock])
def test_paths_that_can_not_be(primitive, wrong, error):
    with pytest.raises(error):
        primitive(wrong)


def test_paths_of_all_sorts(tmp_path):
    name = str(tmp_path / "a.lock")
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.lock"
    for path, same in [
        (pathlib.Path(name), name),
        (name.encode(), name),
        (Pathlike(name.encode()), name),
        (odd, os.fsdecode(odd)),
        (os.fsdecode(odd), os.fsdecode(odd)),
    ]:
        lock = lockfast.Lock(path)
        assert lock.path == same
        with lock as guard:
            assert guard.path == same
            with pytest.raises(lockfast.WouldBlock) as caught:
                lock.try_acquire()
            assert caught.value.filename == same
            str(caught.value), repr(caught.value), repr(lock), repr(guard)
    assert os.path.exists(odd)


def test_a_path_with_nul_is_told_as_by_python():
    for call in (lockfast.Lock, lockfast.inspect, open):
        for path in ("a\0b", b"a\0b"):
            with pytest.raises(ValueError, match="embedded null byte"):
                call(path)


def test_files_that_the_user_may_not_open(actors):
    there = actors(
        "import lockfast, os",
        # Root may do anything.
        "os.geteuid() or os.setuid(65534)",
        "def attempt():\n"
        "  try: lockfast.Lock('/lockfast-test.lock')\n"
        "  except PermissionError as error: return type(error).__name__, error.errno, str(error)",
    )
    name, number, text = there.do("attempt()")
    assert (name, number) == ("PermissionDenied", errno.EACCES)
    assert "/lockfast-test.lock" in text


def test_a_fifo_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(lockfast.InvalidPath):
        lockfast.Lock(tmp_path / "fifo")


@pytest.mark.parametrize(
    "wrong, error",
    [
        ("1", TypeError),
        (b"1", TypeError),
        (True, TypeError),
        ([], TypeError),
        (1j, TypeError),
        (object(), TypeError),
        (-1, ValueError),
        (-0.001, ValueError),
        (float("nan"), ValueError),
        (float("-inf"), ValueError),
        (datetime.timedelta(seconds=-1), ValueError),
        (fractions.Fraction(10**400), OverflowError),
    ],
)
def test_time_outs_that_can_not_be(path, wrong, error):
    lock, rw = lockfast.Lock(path), lockfast.RwLock(path + "2")
    pool = lockfast.Semaphore(path + "3", 1)
    for wait in (lock.acquire, lock.acquire_async, rw.read, rw.write, pool.acquire):
        with pytest.raises(error):
            wait(timeout=wrong)
    assert lockfast.inspect(path).is_free


@pytest.mark.parametrize("long", [0, 10**18, 1e300, float("inf"), datetime.timedelta.max])
def test_time_outs_of_all_lengths(path, long):
    lockfast.Lock(path).acquire(timeout=long).release()


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"mode": "600"}, TypeError),
        ({"mode": -1}, ValueError),
        ({"mode": 0o10000}, ValueError),
        ({"create_dirs": 1}, TypeError),
        ({"protocol": "lockf"}, ValueError),
        ({"protocol": None}, TypeError),
        ({"verify": True}, TypeError),
        ({"verify": "always"}, ValueError),
        ({"fairness": "fair"}, ValueError),
        ({"linger": -1}, ValueError),
        ({"linger": "1"}, TypeError),
        ({"label": "a\nb"}, ValueError),
        ({"label": "x" * 101}, ValueError),
        ({"label": 1}, TypeError),
        ({"owner_record": True, "remove_on_release": True}, ValueError),
        ({"remove_on_release": True, "verify": "off"}, ValueError),
        ({"timeout": 1}, TypeError),
    ],
)
def test_options_that_can_not_be(path, wrong, error):
    with pytest.raises(error):
        lockfast.Lock(path, **wrong)
    assert not os.path.exists(path)


def test_time_outs_have_a_name(path):
    with pytest.raises(TypeError):
        lockfast.Lock(path).acquire(5)


def test_a_guard_is_released_once(path):
    for acquire in (
        lockfast.Lock(path).acquire,
        lockfast.ReentrantLock(path).acquire,
        lockfast.RwLock(path).read,
        lockfast.RwLock(path).write,
        lockfast.Semaphore(path + "2", 1).acquire,
    ):
        guard = acquire()
        guard.release()
        with pytest.raises(lockfast.NotHeld, match="released before") as caught:
            guard.release()
        assert isinstance(caught.value, RuntimeError)
        with pytest.raises(lockfast.NotHeld):
            with guard:
                pass
        guard.__exit__(None, None, None)


def test_two_threads_release_a_guard_once(path):
    lock = lockfast.Lock(path)
    for _ in range(50):
        guard = lock.acquire()
        results = []

        def release(guard=guard, results=results):
            try:
                guard.release()
                results.append("released")
            except lockfast.NotHeld:
                results.append("not held")

        threads = [threading.Thread(target=release) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == ["not held", "not held", "released"]


def test_a_block_is_left_as_often_as_it_is_entered(path):
    lock = lockfast.Lock(path)
    with pytest.raises(lockfast.NotHeld):
        lock.__exit__(None, None, None)
    guard = lock.acquire()
    guard.release()
    with pytest.raises(lockfast.NotHeld):
        guard.fileno()
    assert not guard.is_current()
    assert guard.token is None


def test_a_descriptor_that_is_closed_behind_its_back(run, path):
    # At worst it raises an exception.
    script = """
import lockfast, os, sys
lock = lockfast.Lock(sys.argv[1])
guard = lock.acquire()
os.close(guard.fileno())
for act in (guard.is_current, guard.release, lock.try_acquire):
    try:
        act()
    except lockfast.LockError as error:
        assert error.errno, error
print("alive", flush=True)
# By then the number may belong to another file.
os._exit(0)
"""
    assert run(script, path) == "alive\n"


def test_guards_and_waits_are_not_made_by_hand(path):
    for cls in (lockfast.LockGuard, lockfast.SemaphorePermit, lockfast._lockfast.Pending):
        with pytest.raises(TypeError):
            cls()


def test_inspect_is_told_of_paths_too(tmp_path):
    assert lockfast.inspect(tmp_path / "nothing").is_free
    for wrong, error in [(1, TypeError), ("a\0b", ValueError)]:
        with pytest.raises(error):
            lockfast.inspect(wrong)


def test_names_that_can_not_be():
    for wrong, error in [("", ValueError), ("a\0", ValueError), (1, TypeError)]:
        with pytest.raises(error):
            lockfast.Lock.named(wrong)
    with pytest.raises(ValueError, match="'user' or 'machine'"):
        lockfast.Lock.named("x", scope="planet")


def test_attributes_can_not_be_set(path):
    lock = lockfast.Lock(path)
    with pytest.raises(AttributeError):
        lock.path = "elsewhere"
    with pytest.raises(AttributeError):
        lock.acquire = None
