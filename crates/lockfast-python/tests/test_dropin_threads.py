"""`ReaderWriterLock`, `locked` and `try_lock` of the drop-in: among threads."""

import logging
import pickle
import threading
import weakref

import lockfast.fasteners as fasteners
import pytest


class Thread:
    """A thread that makes one call after the other, and returns the results."""

    def __init__(self):
        self.work, self.done = [], []
        self.ready = threading.Semaphore(0)
        self.answered = threading.Semaphore(0)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            self.ready.acquire()
            try:
                self.done.append(self.work.pop(0)())
            except BaseException as error:
                self.done.append(error)
            self.answered.release()

    def begin(self, work):
        self.work.append(work)
        self.ready.release()

    def answer(self, timeout=60):
        assert self.answered.acquire(timeout=timeout)
        return self.done.pop(0)

    def do(self, work):
        self.begin(work)
        return self.answer()


def until_pending(lock):
    from stage import until

    until(lambda: lock.has_pending_writers)


def test_readers_share_and_writers_do_not():
    lock = fasteners.ReaderWriterLock()
    one, two = Thread(), Thread()
    assert lock.owner is None
    assert one.do(lock.acquire_read_lock) is None and two.do(lock.acquire_read_lock) is None
    assert lock.owner == lock.READER == "r"
    assert one.do(lock.is_reader) and not one.do(lock.is_writer)
    one.begin(lock.acquire_write_lock)
    assert isinstance(one.answer(), RuntimeError)
    one.do(lock.release_read_lock)
    one.begin(lock.acquire_write_lock)
    until_pending(lock)
    assert not lock.is_reader()
    two.do(lock.release_read_lock)
    assert one.answer() is None
    assert lock.owner == lock.WRITER == "w"
    assert one.do(lock.is_writer) and not one.do(lock.is_reader)
    # A writer may read, and go on reading.
    one.do(lock.acquire_read_lock)
    one.do(lock.release_write_lock)
    two.do(lock.acquire_read_lock)
    assert lock.owner == "r"


def test_new_readers_wait_behind_a_waiting_writer_and_present_ones_do_not():
    lock = fasteners.ReaderWriterLock()
    reader, writer, late = Thread(), Thread(), Thread()
    reader.do(lock.acquire_read_lock)
    writer.begin(lock.acquire_write_lock)
    until_pending(lock)
    late.begin(lock.acquire_read_lock)
    assert reader.do(lock.acquire_read_lock) is None
    reader.do(lock.release_read_lock)
    assert not late.done
    reader.do(lock.release_read_lock)
    assert writer.answer() is None
    assert not late.done
    writer.do(lock.release_write_lock)
    assert late.answer() is None


def test_writers_come_in_the_order_in_which_they_asked():
    lock = fasteners.ReaderWriterLock()
    writers = [Thread() for _ in range(4)]
    order = []
    lock.acquire_read_lock()
    for number, writer in enumerate(writers):

        def write(number=number):
            with lock.write_lock():
                order.append(number)

        writer.begin(write)
        from stage import until

        until(lambda number=number: len(lock._pending_writers) == number + 1)
    lock.release_read_lock()
    for writer in writers:
        writer.answer()
    assert order == [0, 1, 2, 3]


def test_a_writer_that_gives_up_keeps_nobody_out():
    lock = fasteners.ReaderWriterLock()
    other = Thread()
    other.do(lock.acquire_read_lock)

    class Interrupted(Exception):
        pass

    def wait():
        raise Interrupted

    lock._cond.wait = wait
    with pytest.raises(Interrupted):
        lock.acquire_write_lock()
    del lock._cond.wait
    assert not lock.has_pending_writers
    lock.acquire_read_lock()
    lock.release_read_lock()


def test_a_block_whose_lock_was_released_frees_nobody_elses():
    lock = fasteners.ReaderWriterLock()
    other = Thread()
    with lock.write_lock() as entered:
        assert entered is lock
        lock.release_write_lock()
        other.do(lock.acquire_write_lock)
    assert other.do(lambda: lock.is_writer(check_pending=False))


def test_it_waits_by_the_condition_that_it_is_given():
    conditions = []

    def condition():
        conditions.append(threading.Condition())
        return conditions[-1]

    lock = fasteners.ReaderWriterLock(condition_cls=condition, current_thread_functor=lambda: 1)
    assert lock._cond is conditions[0] and lock._current_thread() == 1
    assert weakref.ref(lock)() is lock
    with pytest.raises(TypeError):
        pickle.dumps(lock)


class Thing:
    def __init__(self, path):
        self._lock = threading.Lock()
        self.many = [threading.Lock(), fasteners.InterProcessLock(path), threading.RLock()]
        self.readers = fasteners.ReaderWriterLock()
        self.processes = fasteners.InterProcessReaderWriterLock(path + "2")

    @fasteners.locked
    def one(self):
        return self._lock.locked()

    @fasteners.locked(lock="many")
    def several(self):
        return [self.many[0].locked(), self.many[1].acquired]

    @fasteners.read_locked(lock="readers")
    def read(self):
        return self.readers.owner

    @fasteners.write_locked(lock="readers")
    def write(self):
        return self.readers.owner

    @fasteners.write_locked(lock="processes")
    def write_alone(self):
        return self.processes.lockfile is not None


class Recorder:
    """A lock that fails to release."""

    def __init__(self, name, told):
        self.name, self.told = name, told

    def acquire(self):
        self.told.append(f"+{self.name}")
        return True

    def release(self):
        self.told.append(f"-{self.name}")
        raise KeyError(self.name)


def test_several_locks_are_released_in_the_reverse_order(caplog):
    told = []

    class Several:
        _lock = [Recorder(name, told) for name in "abc"]

        @fasteners.locked(logger=logging.getLogger("mine"))
        def loudly(self):
            told.append("inside")

        @fasteners.locked
        def as_usual(self):
            pass

    Several().loudly()
    assert told == ["+a", "+b", "+c", "inside", "-c", "-b", "-a"]
    text = "Failed releasing lock {} from lock stack with 3 locks"
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("mine", text.format(number)) for number in (3, 2, 1)
    ]
    caplog.clear()
    Several().as_usual()
    assert {record.name for record in caplog.records} == {"fasteners._utils"}


def test_methods_under_locks(path):
    thing = Thing(path)
    assert thing.one() is True and not thing._lock.locked()
    assert thing.several() == [True, True]
    assert not thing.many[0].locked() and not thing.many[1].acquired
    assert (thing.read(), thing.write(), thing.readers.owner) == ("r", "w", None)
    assert thing.write_alone() is True and thing.processes.lockfile is None


def test_a_list_of_which_one_is_refused_releases_the_others():
    class Refuses:
        def acquire(self):
            return False

    class Several:
        _lock = [threading.Lock(), Refuses()]

        @fasteners.locked()
        def method(self):
            pytest.fail("it ran")

    with pytest.raises(RuntimeError, match="Unable to acquire lock 2"):
        Several().method()
    assert not Several._lock[0].locked()


def test_release_errors_of_a_list_are_logged(caplog):
    class Fails:
        def acquire(self):
            return True

        def release(self):
            raise KeyError("x")

    class Several:
        _lock = [Fails()]

        @fasteners.locked()
        def method(self):
            return 1

    assert Several().method() == 1
    assert "Failed releasing lock 1 from lock stack with 1 locks" in caplog.text


def test_try_lock(path):
    for lock in (threading.Lock(), fasteners.InterProcessLock(path)):
        with fasteners.try_lock(lock) as got:
            assert got is True
            other = lock if isinstance(lock, type(threading.Lock())) else None
            if other is not None:
                with fasteners.try_lock(other) as again:
                    assert again is False
        assert lock.acquire(blocking=False)
        lock.release()
