"""Ctrl-C ends a wait at once; other signals do not."""

import os
import signal

import lockfast
import pytest
from stage import Failed, descriptors, until, until_waits

WAITS = [
    "lock.acquire()",
    "lock.acquire(timeout=1000)",
    "lock.__enter__()",
    "again.acquire()",
    "cache.read()",
    "cache.write(timeout=1000)",
    "lockfast.lock_all([lock])",
    "dropin.acquire()",
    "dropin.acquire(timeout=1000)",
    "readers.acquire_read_lock()",
    "asyncio.run(task())",
]


@pytest.fixture
def there(path, actors):
    return actors(
        "import asyncio, lockfast, signal, lockfast.fasteners as fasteners",
        f"lock = lockfast.Lock({path!r})",
        f"again = lockfast.ReentrantLock({path!r})",
        f"cache = lockfast.RwLock({path!r})",
        f"dropin = fasteners.InterProcessLock({path!r})",
        f"readers = fasteners.InterProcessReaderWriterLock({path!r})",
        "async def task():\n  async with lock: pass",
    )


@pytest.mark.parametrize("wait", WAITS)
def test_an_interrupt_ends_a_wait(path, there, wait):
    guard = lockfast.Lock(path).acquire()
    before = descriptors(path, there.pid)
    there.begin(wait)
    until_waits(path, there.pid)
    there.kill(signal.SIGINT)
    with pytest.raises(Failed, match="KeyboardInterrupt"):
        there.answer()
    # Nothing is left of it.
    assert not lockfast.inspect(path).waiters
    assert descriptors(path, there.pid) == before
    guard.release()
    lockfast.Lock(path).try_acquire().release()
    assert there.do("lock.try_acquire().is_held")


@pytest.mark.parametrize("wait", WAITS[:2])
def test_a_handler_that_returns_ends_nothing(path, there, wait):
    there.do("seen = []")
    there.do("signal.signal(signal.SIGUSR1, lambda *_: open(" + repr(path + "2") + ", 'w'))")
    guard = lockfast.Lock(path).acquire()
    there.begin(f"guard = {wait}")
    until_waits(path, there.pid)
    there.kill(signal.SIGUSR1)
    until(lambda: os.path.exists(path + "2"))
    until_waits(path, there.pid)
    assert there.is_silent()
    guard.release()
    there.answer()


#: The waits of threads; the loop of asyncio handles signals itself.
THREADS_WAITS = [wait for wait in WAITS if "asyncio" not in wait] + ["upgrade()"]


@pytest.mark.parametrize("wait", THREADS_WAITS)
def test_an_interrupt_that_restarts_calls_ends_a_wait(path, there, wait):
    """Sets a handler as asyncio does: the kernel goes on waiting and does not return."""
    there.do("def fail(*_): raise KeyError('from the handler')")
    there.do("signal.signal(signal.SIGUSR1, fail)")
    there.do("signal.siginterrupt(signal.SIGUSR1, False)")
    wait, guard = begin(path, there, wait)
    there.kill(signal.SIGUSR1)
    with pytest.raises(Failed, match="from the handler"):
        there.answer()
    assert not lockfast.inspect(path).waiters
    guard.release()
    assert_free(path, there)


@pytest.mark.parametrize("wait", THREADS_WAITS)
def test_an_exception_of_another_thread_ends_a_wait(path, there, wait):
    there.do("import ctypes, threading")
    there.do("class Enough(Exception): pass")
    there.do("me = ctypes.c_ulong(threading.get_ident())")
    throw = "ctypes.pythonapi.PyThreadState_SetAsyncExc(me, ctypes.py_object(Enough))"
    there.do(f"file = {path + '.go'!r}")
    there.do(
        "def throw():\n  import os, time\n"
        f"  while not os.path.exists(file): time.sleep(0.005)\n  {throw}"
    )
    there.do("threading.Thread(target=throw, daemon=True).start()")
    wait, guard = begin(path, there, wait)
    with open(path + ".go", "w"):
        pass
    with pytest.raises(Failed, match="Enough"):
        there.answer()
    assert not lockfast.inspect(path).waiters
    guard.release()
    assert_free(path, there)


def begin(path, there, wait):
    """The other process begins to wait for what is held here."""
    if wait == "upgrade()":
        there.do("reader = cache.upgradable_read()")
        wait = "reader.upgrade()"
        guard = lockfast.RwLock(path).read()
    else:
        guard = lockfast.Lock(path).acquire()
    there.begin(wait)
    until_waits(path, there.pid)
    return wait, guard


def assert_free(path, there):
    if there.do("'reader' in globals()"):
        # It reads on, and can still become the writer.
        there.do("reader.upgrade().release()")
    lockfast.Lock(path).try_acquire().release()


def test_an_exception_of_a_handler_ends_a_wait(path, there):
    there.do("def fail(*_): raise KeyError('from the handler')")
    there.do("signal.signal(signal.SIGALRM, fail)")
    guard = lockfast.Lock(path).acquire()
    there.begin("lock.acquire()")
    until_waits(path, there.pid)
    there.kill(signal.SIGALRM)
    with pytest.raises(Failed, match="from the handler"):
        there.answer()
    guard.release()


def test_an_interrupt_is_for_the_main_thread(path, there):
    guard = lockfast.Lock(path).acquire()
    there.do("import threading")
    there.do("guards = []")
    there.do("wait = lambda: guards.append(lockfast.Lock(lock.path).acquire())")
    there.do("thread = threading.Thread(target=wait)")
    there.do("thread.start()")
    there.begin("lock.acquire()")
    until(lambda: len(lockfast.inspect(path).waiters) == 2)
    there.kill(signal.SIGINT)
    with pytest.raises(Failed, match="KeyboardInterrupt"):
        there.answer()
    # The other one waits on. (The kernel may have told it of the signal; then it asks again.)
    until(lambda: len(lockfast.inspect(path).waiters) == 1)
    assert there.do("thread.is_alive()") and there.do("guards") == []
    guard.release()
    there.do("thread.join()")
    assert there.do("guards.pop().is_held")
