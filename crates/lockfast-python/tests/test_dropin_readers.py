"""`InterProcessReaderWriterLock` of the drop-in, and the decorators of processes."""

import os
import threading

import lockfast.fasteners as fasteners
import pytest
from stage import descriptors, until_waits


@pytest.fixture
def there(path, actors):
    return actors(
        "import lockfast.fasteners as fasteners",
        f"lock = fasteners.InterProcessReaderWriterLock({path!r})",
    )


def test_attributes_of_a_lock(path):
    lock = fasteners.InterProcessReaderWriterLock(path)
    assert (lock.lockfile, lock.path) == (None, path.encode())
    assert (lock.MAX_DELAY, lock.DELAY_INCREMENT) == (0.1, 0.01)
    for name in ("acquired", "exists", "trylock", "unlock", "acquire", "release", "__enter__"):
        assert not hasattr(lock, name)
    assert lock.acquire_read_lock() is True
    file = lock.lockfile
    assert file.readable() and file.writable()
    assert lock.release_read_lock() is None
    assert file.closed and lock.lockfile is None and descriptors(path) == 0


def test_readers_share(path, there):
    lock = fasteners.InterProcessReaderWriterLock(path)
    with lock.read_lock() as nothing:
        assert nothing is None
        assert there.do("lock.acquire_read_lock(blocking=False)") is True
        other = fasteners.InterProcessReaderWriterLock(path)
        assert other.acquire_read_lock(timeout=0) is True
        other.release_read_lock()
        assert there.do("lock.acquire_write_lock(timeout=0.01)") is False
        there.do("lock.release_read_lock()")


def test_writers_are_alone(path, there):
    lock = fasteners.InterProcessReaderWriterLock(path)
    with lock.write_lock() as nothing:
        assert nothing is None
        for way in ("read", "write"):
            assert there.do(f"lock.acquire_{way}_lock(blocking=False)") is False
            assert there.do(f"lock.acquire_{way}_lock(timeout=0.01)") is False
    assert there.do("lock.acquire_write_lock()") is True
    assert lock.acquire_read_lock(blocking=False) is False
    assert lock.acquire_write_lock(timeout=0.01) is False
    assert descriptors(path) == 0


@pytest.mark.parametrize("way", ["read", "write"])
@pytest.mark.parametrize("timeout", ["", "timeout=1000"])
def test_waiters_sleep_in_the_kernel(path, there, way, timeout):
    lock = fasteners.InterProcessReaderWriterLock(path)
    lock.acquire_write_lock()
    there.begin(f"lock.acquire_{way}_lock({timeout})")
    until_waits(path, there.pid)
    lock.release_write_lock()
    assert there.answer() is True


def test_releases_that_do_not_fit(path):
    lock = fasteners.InterProcessReaderWriterLock(path)
    for release in (lock.release_read_lock, lock.release_write_lock):
        with pytest.raises(TypeError, match="argument must be an int, or have a fileno"):
            release()
    lock.acquire_read_lock()
    assert lock.acquire_read_lock() is True
    lock.release_write_lock()
    with pytest.raises(TypeError):
        lock.release_read_lock()


def test_a_reader_becomes_the_writer_and_back(path, there):
    lock = fasteners.InterProcessReaderWriterLock(path)
    lock.acquire_read_lock()
    there.do("lock.acquire_read_lock()")
    # A refused conversion keeps the lock as it was.
    assert lock.acquire_write_lock(blocking=False) is False
    assert lock.acquire_write_lock(timeout=0.01) is False
    there.do("lock.release_read_lock()")
    assert there.do("lock.acquire_write_lock(blocking=False)") is False
    assert lock.acquire_write_lock() is True
    assert there.do("lock.acquire_read_lock(blocking=False)") is False
    assert lock.acquire_read_lock() is True
    assert there.do("lock.acquire_read_lock(blocking=False)") is True
    there.do("lock.release_read_lock()")
    lock.release_read_lock()
    assert there.do("lock.acquire_write_lock(blocking=False)") is True


def test_an_upgrade_waits_in_the_kernel(path, there):
    lock = fasteners.InterProcessReaderWriterLock(path)
    lock.acquire_read_lock()
    there.do("lock.acquire_read_lock()")
    there.begin("lock.acquire_write_lock()")
    until_waits(path, there.pid)
    lock.release_read_lock()
    assert there.answer() is True


@pytest.mark.parametrize("sleep", [{}, {"sleep_func": lambda seconds: None}])
def test_threads_of_one_lock(path, sleep):
    lock = fasteners.InterProcessReaderWriterLock(path, **sleep)
    # Until the file stays open in between.
    for _ in range(50):
        with lock.write_lock():
            pass
    answers = []

    def attempt(*ways):
        def run():
            for way in ways:
                answers.append(getattr(lock, f"acquire_{way}_lock")(timeout=0.001))
                if answers[-1]:
                    getattr(lock, f"release_{way}_lock")()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    with lock.write_lock():
        attempt("read", "write")
        assert answers == [False, False]
    answers.clear()
    with lock.read_lock():
        attempt("read", "write")
        assert answers == [True, False]
        assert lock.acquire_write_lock() is True
        answers.clear()
        attempt("read", "write")
        assert answers == [False, False]


def test_a_thread_that_reads_keeps_another_from_becoming_the_writer(path):
    lock = fasteners.InterProcessReaderWriterLock(path)
    for _ in range(50):
        with lock.read_lock():
            pass
    reads, enough = threading.Event(), threading.Event()

    def read():
        with lock.read_lock():
            reads.set()
            enough.wait(60)

    thread = threading.Thread(target=read)
    thread.start()
    assert reads.wait(60)
    lock.acquire_read_lock()
    assert lock.acquire_write_lock(blocking=False) is False
    enough.set()
    thread.join()
    assert lock.acquire_write_lock() is True
    lock.release_write_lock()


@pytest.mark.parametrize("way", ["read", "write"])
def test_another_thread_may_release(path, there, way):
    lock = fasteners.InterProcessReaderWriterLock(path)
    assert getattr(lock, f"acquire_{way}_lock")() is True
    thread = threading.Thread(target=getattr(lock, f"release_{way}_lock"))
    thread.start()
    thread.join()
    assert there.do("lock.acquire_write_lock(blocking=False)") is True
    assert descriptors(path) == 0


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_forked_child_holds_nothing_and_frees_nothing(path, there, way):
    there.do(f"lock.acquire_{way}_lock()")
    there.do("import os")
    there.do(
        "def child():\n"
        "  if not os.fork():\n"
        "    ok = lock.acquire_write_lock(blocking=False) is False\n"
        "    lock.release_write_lock()\n"
        "    ok = ok and lock.acquire_write_lock(timeout=0.001) is False\n"
        "    os._exit(0 if ok else 1)\n"
        "  return os.wait()[1]\n"
    )
    assert there.do("child()") == 0
    lock = fasteners.InterProcessReaderWriterLock(path)
    assert lock.acquire_write_lock(blocking=False) is False
    there.do(f"lock.release_{way}_lock()")
    assert lock.acquire_write_lock(blocking=False) is True
    lock.release_write_lock()


def test_a_killed_reader_or_writer_frees_it(path, actors):
    lock = fasteners.InterProcessReaderWriterLock(path)
    for way in ("read", "write"):
        there = actors(
            "import lockfast.fasteners as fasteners",
            f"lock = fasteners.InterProcessReaderWriterLock({path!r})",
            f"lock.acquire_{way}_lock()",
        )
        assert lock.acquire_write_lock(blocking=False) is False
        there.kill()
        with lock.write_lock():
            pass


def test_both_locks_exclude_each_other(path):
    lock, readers = fasteners.InterProcessLock(path), fasteners.InterProcessReaderWriterLock(path)
    with lock:
        assert readers.acquire_read_lock(blocking=False) is False
    with readers.read_lock():
        assert lock.acquire(blocking=False) is False


@pytest.mark.parametrize(
    "decorator, kept_out",
    [
        (fasteners.interprocess_locked, ["read", "write"]),
        (fasteners.interprocess_write_locked, ["read", "write"]),
        (fasteners.interprocess_read_locked, ["write"]),
    ],
)
def test_decorators(path, there, decorator, kept_out):
    def refused():
        ways = []
        for way in ("read", "write"):
            if there.do(f"lock.acquire_{way}_lock(blocking=False)"):
                there.do(f"lock.release_{way}_lock()")
            else:
                ways.append(way)
        return ways

    @decorator(path)
    def function(value):
        "what it does"
        return value, refused()

    class Thing:
        @decorator(path=path)
        def method(self):
            return refused()

        @decorator(path)
        def fails(self):
            raise KeyError

    assert function(1) == (1, kept_out)
    assert (function.__name__, function.__doc__) == ("function", "what it does")
    assert Thing().method() == kept_out
    with pytest.raises(KeyError):
        Thing().fails()
    assert refused() == []


@pytest.mark.parametrize(
    "decorator",
    [
        fasteners.interprocess_locked,
        fasteners.interprocess_read_locked,
        fasteners.interprocess_write_locked,
    ],
)
def test_bare_decorators_as_the_documentation_of_fasteners_shows_them(decorator):
    @decorator
    def function(value):
        path = fasteners_path(function)
        return value, fasteners.InterProcessLock(path).acquire(blocking=False)

    assert function(1) == (1, False)
    os.unlink(fasteners_path(function))


def fasteners_path(function):
    import lockfast
    from lockfast._names import name_of

    return lockfast.Lock.named(name_of(function.__wrapped__)).path
