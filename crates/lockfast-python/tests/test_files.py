"""Locks on files that the program opened."""

import os
import pickle

import lockfast
import pytest


def test_a_file_that_is_open(tmp_path, actors):
    path = tmp_path / "data"
    path.write_text("1")
    there = actors("import fcntl", f"file = open({str(path)!r}, 'r+')")
    attempt = "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with open(path, "r+") as file:
        lock = lockfast.Lock.from_file(file, protocol="flock")
        assert lock.path == str(path)
        with lock as guard:
            with pytest.raises(Exception, match="BlockingIOError"):
                there.do(attempt)
            assert os.fstat(guard.fileno()).st_ino == os.stat(path).st_ino
            count = int(file.read())
            file.seek(0)
            file.write(str(count + 1))
    # The program closed its own, and the lock has one.
    lock.acquire()
    with pytest.raises(Exception, match="BlockingIOError"):
        there.do(attempt)
    lock.release()
    there.do(attempt)
    assert path.read_text() == "2"


def test_by_its_number_with_the_other_handles(tmp_path):
    path = tmp_path / "data"
    number = os.open(path, os.O_RDWR | os.O_CREAT)
    lock = lockfast.Lock.from_file(number)
    os.close(number)
    with lock:
        with pytest.raises(lockfast.WouldBlock):
            lockfast.Lock(path).try_acquire()


def test_a_file_to_read_is_enough_to_read(tmp_path):
    path = tmp_path / "data"
    path.write_text("1")
    with open(path) as file:
        cache = lockfast.RwLock.from_file(file)
        lock = lockfast.Lock.from_file(file)
    with cache.read() as guard:
        assert guard.is_current() and guard.fileno() > 2
        with pytest.raises(lockfast.WouldBlock):
            lockfast.RwLock(path).try_write()
    with pytest.raises(lockfast.LockError, match="open for writing"):
        lock.acquire()


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(OSError):
        lockfast.Lock.from_file(987654)
    with pytest.raises(OSError):
        lockfast.Lock.from_file(-1)
    with pytest.raises((TypeError, AttributeError)):
        lockfast.Lock.from_file(str(tmp_path))
    number = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(lockfast.InvalidPath):
        lockfast.RwLock.from_file(number)
    os.close(number)


def test_a_subclass_and_its_pickle(tmp_path):
    class Mine(lockfast.Lock):
        pass

    with open(tmp_path / "data", "w") as file:
        lock = Mine.from_file(file)
    assert type(lock) is Mine
    with pytest.raises(TypeError, match="opened"):
        pickle.dumps(lock)
