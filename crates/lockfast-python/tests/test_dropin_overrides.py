"""Methods of `InterProcessLock` that programs override, or call by hand."""

import errno
import threading

import lockfast
import lockfast.fasteners as fasteners
import pytest
from stage import descriptors


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


def test_overrides_of_a_subclass_are_called(path):
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


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_errors_that_mean_that_the_lock_is_held(path, number):
    class Held(fasteners.InterProcessLock):
        def trylock(self):
            raise OSError(number, "no")

    lock = Held(path)
    assert lock.acquire(blocking=False) is False
    assert lock.acquire(timeout=0.001) is False
    assert lock.lockfile is None and descriptors(path) == 0


def test_a_file_that_only_python_can_open(path, holder):
    class Refuses:
        def take(self, *arguments):
            raise lockfast.PermissionDenied(errno.EACCES, "no", path)

    alone = fasteners.InterProcessLock(path)
    readers = fasteners.InterProcessReaderWriterLock(path)
    ways = [alone.acquire, readers.acquire_read_lock, readers.acquire_write_lock]
    for lock in (alone, readers):
        lock._opener = Refuses()
    for acquire in ways:
        assert acquire(blocking=False) is False
        assert acquire(timeout=0.001) is False
        assert alone.lockfile is readers.lockfile is None and descriptors(path) == 0
    holder.kill()
    for acquire, release in zip(ways, [alone.release, *2 * [readers.release_read_lock]]):
        assert acquire() is True
        with pytest.raises(lockfast.WouldBlock):
            lockfast.RwLock(path).try_write()
        release()
    assert descriptors(path) == 0


def test_a_file_that_was_opened_by_hand_is_closed(path):
    class Mine(fasteners.InterProcessLock):
        def trylock(self):
            super().trylock()

    with Mine(path) as lock:
        file = lock.lockfile
        assert not file.closed
    # Not just by being forgotten.
    assert file.closed and lock.lockfile is None


def test_overrides_of_an_instance_are_called(path):
    lock = fasteners.InterProcessLock(path)
    calls = []
    lock.trylock = lambda: calls.append("trylock")
    lock.unlock = lambda: calls.append("unlock")
    with lock:
        pass
    assert calls == ["trylock", "unlock"]


@pytest.mark.parametrize("name", ["trylock", "unlock"])
def test_one_of_them_is_enough(path, name):
    calls = []

    def own(self):
        calls.append(name)
        getattr(fasteners.InterProcessLock, name)(self)

    class Mine(fasteners.InterProcessLock):
        pass

    setattr(Mine, name, own)
    instance = fasteners.InterProcessLock(path)
    setattr(instance, name, lambda: own(instance))
    for lock in (Mine(path), instance):
        with lock:
            pass
        assert calls.pop() == name and not calls


def test_the_file_that_the_program_opened_is_locked(path, holder):
    class Mine(fasteners.InterProcessLock):
        def _do_open(self):
            self.lockfile = open(path, "a")

    given = fasteners.InterProcessLock(path + "2")
    given.lockfile = open(path, "a")
    for lock in (Mine(path + "2"), given):
        assert lock.acquire(blocking=False) is False
        with fasteners.InterProcessLock(path + "2"):
            pass
    holder.kill()
    for lock in (Mine(path + "2"), given):
        with lock:
            assert fasteners.InterProcessLock(path).acquire(blocking=False) is False
            assert lock.acquired


def test_an_attempt_that_failed_leaves_the_file_to_other_threads(path, holder):
    class Mine(fasteners.InterProcessLock):
        def trylock(self):
            super().trylock()

    lock = Mine(path)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    holder.kill()
    assert answers == [False] and lock.acquire(timeout=1000) is True
    lock.release()


CHILD = """
import lockfast.fasteners, os, sys

class Mine(lockfast.fasteners.InterProcessLock):
    def trylock(self):
        super().trylock()

lock = Mine(sys.argv[1])
lock.acquire()
ends = [os.pipe(), os.pipe()]
pid = os.fork()
if pid == 0:
    ok = lock.acquire(blocking=False) is False
    lock.release() if lock.acquired else None
    ok = ok and lock.acquire(timeout=0.001) is False
    os.write(ends[0][1], b"tried" if ok else b"failed")
    os.read(ends[1][0], 1)
    os._exit(0 if ok and lock.acquire() and lock.acquired else 1)
assert os.read(ends[0][0], 10) == b"tried"
other = lockfast.fasteners.InterProcessLock(sys.argv[1])
assert other.acquire(blocking=False) is False, "the child freed it"
lock.release()
os.write(ends[1][1], b"!")
assert os.waitpid(pid, 0)[1] == 0
other.acquire()
"""


def test_a_forked_child_holds_nothing_and_frees_nothing(path, run):
    run(CHILD, path)


def test_an_error_of_unlock(path):
    class Fails(fasteners.InterProcessLock):
        def unlock(self):
            raise OSError(errno.EIO, "no")

    lock = Fails(path)
    lock.acquire()
    with pytest.raises(RuntimeError, match="Could not unlock the acquired lock opened on `b'"):
        lock.release()
    assert lock.acquired
