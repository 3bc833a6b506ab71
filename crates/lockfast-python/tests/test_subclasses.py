"""Classes of a program that are made of the package's."""

import copy
import os
import pickle

import lockfast
import pytest


class Named(lockfast.Lock):
    """With an `__init__` of its own."""

    def __init__(self, directory, *, key):
        super().__init__(os.path.join(directory, key + ".lock"), mode=0o600)
        self.key = key


class Pool(lockfast.Semaphore):
    def __init__(self, directory):
        super().__init__(os.path.join(directory, "pool.lock"), 3)
        self.used = 0


class Plain(lockfast.Lock):
    pass


class Cache(lockfast.RwLock):
    pass


class Again(lockfast.ReentrantLock):
    pass


class Forgetful(lockfast.Lock):
    def __init__(self):
        pass


def test_an_init_of_its_own(tmp_path):
    lock = Named(str(tmp_path), key="a")
    with lock as guard:
        assert guard.is_held and lock.key == "a"
    # Nothing else was created, as by a call that failed half-way.
    assert os.listdir(tmp_path) == ["a.lock"]
    assert os.stat(lock.path).st_mode & 0o777 == 0o600
    assert Pool(str(tmp_path)).permits == 3
    with pytest.raises(TypeError):
        Named(str(tmp_path))
    with pytest.raises(TypeError):
        Plain(str(tmp_path / "b.lock"), key="a")
    assert sorted(os.listdir(tmp_path)) == ["a.lock", "pool.lock"]


def test_a_pickled_lock_has_its_options(tmp_path):
    lock, pool = Named(str(tmp_path), key="a"), Pool(str(tmp_path))
    for again in (pickle.loads(pickle.dumps(lock)), copy.copy(lock)):
        assert type(again) is Named and again.key == "a" and again.path == lock.path
        with lock:
            with pytest.raises(lockfast.WouldBlock):
                again.try_acquire()
    pool.used = 2
    again = pickle.loads(pickle.dumps(pool))
    assert type(again) is Pool and again.used == 2 and again.permits == 3


def test_an_init_that_opens_nothing_says_so(path):
    lock = Forgetful()
    for use in (lock.acquire, lock.release, lambda: lock.path, lock.__enter__):
        with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
            use()
    assert "not open" in repr(lock)
    lockfast.Lock.__init__(lock, path)
    lock.acquire().release()
    with pytest.raises(RuntimeError, match="__init__"):
        lockfast.Lock.__init__(lock, path + "2")


@pytest.mark.parametrize("cls", [Plain, Cache, Again, lockfast.Lock])
def test_named_gives_its_own_class(cls):
    lock = cls.named(f"lockfast-test-class-{os.getpid()}", mode=0o640)
    try:
        assert type(lock) is cls
        assert os.stat(lock.path).st_mode & 0o777 == 0o640
    finally:
        os.unlink(lock.path)


def test_named_with_permits_and_options():
    class Mine(lockfast.Semaphore):
        pass

    pool = Mine.named(f"lockfast-test-class-{os.getpid()}", 2, fairness="fifo")
    try:
        assert type(pool) is Mine and pool.permits == 2
    finally:
        os.unlink(pool.path)
    with pytest.raises(TypeError, match="colour"):
        Mine.named("lockfast-test", 2, colour="red")


def test_a_pickled_name_keeps_its_scope(tmp_path):
    name = f"lockfast-test-pickle-{os.getpid()}"
    lock = lockfast.Lock.named(name)
    os.unlink(lock.path)
    again = pickle.loads(pickle.dumps(lock))
    try:
        # Created again with the mode of a name, not with that of a path, which the umask makes.
        assert os.stat(again.path).st_mode & 0o777 == 0o600
        assert again.path == lock.path
    finally:
        os.unlink(lock.path)
    directory = os.path.dirname(lock.path)
    before = os.stat(directory).st_mode & 0o7777
    os.chmod(directory, 0o777)
    try:
        # Its directory is checked, as by the first one.
        with pytest.raises(lockfast.LockError, match="directory|keep named locks"):
            pickle.loads(pickle.dumps(lock))
    finally:
        os.chmod(directory, before)


def test_a_representation_names_the_class(path):
    class Mine(lockfast.Lock):
        pass

    assert "Mine" in repr(Mine(path)) and "lockfast.Lock" not in repr(Mine(path))
    assert repr(Plain(path)).startswith("<test_subclasses.Plain ")
    assert repr(Cache(path)).startswith("<test_subclasses.Cache ")
    assert repr(lockfast.Lock(path)) == f"<lockfast.Lock {path}>"
    assert repr(lockfast.Semaphore(path, 2)) == f"<lockfast.Semaphore {path}, 2 permits>"
