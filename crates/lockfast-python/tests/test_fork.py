"""Forked children, and the start methods of multiprocessing."""

import multiprocessing
import os
import pickle

import lockfast
import pytest

FORK = """
import os
def in_child(work):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = repr(work())
        except BaseException as error:
            answer = type(error).__name__
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    answer = os.read(read, 10000).decode()
    os.close(read)
    os.waitpid(pid, 0)
    return answer
"""


@pytest.fixture
def there(path, actors):
    return actors("import lockfast", f"lock = lockfast.Lock({path!r})", FORK)


@pytest.mark.parametrize(
    "work, answer",
    [
        ("guard.is_held", "False"),
        ("guard.release()", "NotHeld"),
        ("guard.__exit__(None, None, None)", "None"),
        ("lock.try_acquire()", "WouldBlock"),
        ("lock.acquire(timeout=0.01)", "Timeout"),
        ("again.try_acquire()", "WouldBlock"),
        ("again_guard.release()", "NotHeld"),
        # Nor what the child itself holds then.
        (
            "[os.unlink(again.path), again.acquire(), again_guard.__exit__(), "
            "lockfast.Lock(again.path).try_acquire()]",
            "WouldBlock",
        ),
        ("[globals().pop('guard'), None][1]", "None"),
    ],
)
def test_a_child_holds_nothing_and_frees_nothing(path, there, work, answer):
    there.do("guard = lock.acquire()")
    there.do(f"again = lockfast.ReentrantLock({path + '2'!r})")
    there.do("again_guard = again.acquire()")
    assert there.do(f"in_child(lambda: {work})") in (answer, repr(answer))
    for name in (path, path + "2"):
        if "unlink" not in work:
            with pytest.raises(lockfast.WouldBlock):
                lockfast.Lock(name).try_acquire()
    there.do("guard.release()")
    there.do("again_guard.release()")
    lockfast.Lock(path).try_acquire().release()


def test_a_handle_works_in_a_child(path, there):
    answer = there.do("in_child(lambda: [lock.acquire().release(), lock.try_acquire().is_held])")
    assert answer == "[None, True]"


def test_a_block_that_is_left_in_a_child(path, there):
    there.do("def leave():\n  with lock: return in_child(lambda: lock.__exit__())")
    assert there.do("leave()") == "None"


def test_the_death_of_a_parent_frees_it_though_a_child_lives(path, there):
    there.do("guard = lock.acquire()")
    there.do("import signal")
    pid = there.do("os.fork() or signal.pause()")
    try:
        there.kill()
        with lockfast.Lock(path).acquire(timeout=60):
            pass
        os.kill(pid, 0)
    finally:
        os.kill(pid, 9)


def test_an_executed_program_inherits_nothing(path, there):
    there.do("guard = lock.acquire()")
    there.do("import subprocess")
    there.do("child = subprocess.Popen(['sleep', '100'], close_fds=False)")
    pid = there.do("child.pid")
    try:
        there.kill()
        with lockfast.Lock(path).acquire(timeout=60):
            pass
    finally:
        os.kill(pid, 9)


def worker(locks, times):
    for lock in locks:
        counter = lock.path + ".count"
        for _ in range(times):
            with lock.write() if isinstance(lock, lockfast.RwLock) else lock:
                with open(counter) as file:
                    count = int(file.read())
                with open(counter, "w") as file:
                    file.write(str(count + 1))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(tmp_path, method):
    context = multiprocessing.get_context(method)
    locks = [
        lockfast.Lock(tmp_path / "lock"),
        lockfast.RwLock(tmp_path / "rw"),
        lockfast.ReentrantLock(tmp_path / "reentrant"),
        lockfast.Semaphore(tmp_path / "semaphore", 1),
    ]
    counters = [tmp_path / (lock.path + ".count") for lock in locks]
    for counter in counters:
        counter.write_text("0")
    processes = [context.Process(target=worker, args=(locks, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [counter.read_text() for counter in counters] == 4 * ["150"]


def test_handles_are_pickled_with_their_options(path):
    lock = lockfast.Lock(path, protocol="flock", verify="path")
    copy = pickle.loads(pickle.dumps(lock))
    assert copy.path == path
    with copy:
        with pytest.raises(lockfast.WouldBlock):
            lock.try_acquire()
        # By flock and nothing else.
        lockfast.Lock(path).try_acquire().release()
    pool = pickle.loads(pickle.dumps(lockfast.Semaphore(path + "2", 3)))
    assert pool.permits == 3


@pytest.mark.parametrize("primitive", ["Lock", "RwLock", "ReentrantLock", "Semaphore"])
def test_all_handles_are_pickled_with_their_options(tmp_path, primitive):
    permits = (3,) if primitive == "Semaphore" else ()
    directory = tmp_path / "a"
    directory.mkdir()
    path = directory / "x.lock"
    lock = getattr(lockfast, primitive)(path, *permits, create_dirs=False)
    pickled = pickle.dumps(lock)
    assert type(pickle.loads(pickled)) is type(lock)
    path.unlink()
    directory.rmdir()
    with pytest.raises(lockfast.NotFound):
        pickle.loads(pickled)


def test_guards_are_not_pickled(path):
    with lockfast.Lock(path) as guard:
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(guard)


def test_errors_are_pickled(path):
    with lockfast.Lock(path) as guard:
        with pytest.raises(lockfast.WouldBlock) as caught:
            lockfast.Lock(path).try_acquire()
        del guard
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))
    assert copy.errno == caught.value.errno and copy.filename == path
    assert copy.holder.pid == os.getpid()
