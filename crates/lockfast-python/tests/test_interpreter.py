"""The interpreter: its lock, its end, and several interpreters."""

import sys

import lockfast
import pytest

BEGIN = """
import asyncio, atexit, sys, threading, time
import lockfast, lockfast.fasteners as fasteners

path = sys.argv[1]
lock = lockfast.Lock(path)
guard = lock.acquire()
guard.hand_over()

def in_background(*works):
    for work in works:
        threading.Thread(target=work, daemon=True).start()
    while len(lockfast.inspect(path).waiters) < len(works):
        time.sleep(0.002)

def another(**timeout):
    lockfast.Lock(path).acquire(**timeout)

async def task():
    async with lockfast.Lock(path):
        await asyncio.sleep(1000)

def loop():
    asyncio.run(task())
"""
#: The code that holds the lock, and the code that waits for it.
WAITS = {
    "a lock": ("lock.acquire()", "lockfast.Lock(path).acquire()"),
    "with a time-out": ("lock.acquire()", "lockfast.Lock(path).acquire(timeout=1000)"),
    "a reentrant lock": ("lock.acquire()", "lockfast.ReentrantLock(path).acquire()"),
    "a reader": ("lock.acquire()", "lockfast.RwLock(path).read()"),
    "an upgrade": ("rw.read()", "lockfast.RwLock(path).upgradable_read().upgrade()"),
    "a semaphore": ("pool.acquire()", "pool.acquire()"),
    "several": ("lock.acquire()", "lockfast.lock_all([lockfast.Lock(path)])"),
    "a drop-in": ("lock.acquire()", "fasteners.InterProcessLock(path).acquire()"),
    "a drop-in that stayed open": ("lock.acquire()", "kept.acquire()"),
    "a writer of the drop-in": ("rw.read()", "readers.acquire_write_lock()"),
}
LETS_RUN = """
guard.release()
rw, pool = lockfast.RwLock(path), lockfast.Semaphore(path + "2", 1)
kept = fasteners.InterProcessLock(path)
readers = fasteners.InterProcessReaderWriterLock(path)
for _ in range(40):
    with kept:
        pass
guard = {held}
guard.hand_over() if hasattr(guard, "hand_over") else None
asked, got = threading.Event(), threading.Event()

def wait():
    asked.set()
    {waits}
    got.set()

thread = threading.Thread(target=wait)
thread.start()
# The rest of this happens only if the one that waits lets it.
asked.wait()
while not lockfast.inspect(guard.path).waiters:
    time.sleep(0.002)
assert not got.is_set()
guard.release()
thread.join()
assert got.is_set()
"""


@pytest.mark.parametrize("wait", WAITS)
def test_a_thread_that_waits_lets_others_run(path, run, wait):
    held, waits = WAITS[wait]
    assert run(BEGIN + LETS_RUN.format(held=held, waits=waits), path) == ""


ENDS = {
    "a guard of the module": "",
    "a block of the module": "guard.release(); lock.__enter__()",
    "a drop-in": "guard.release(); dropin = fasteners.InterProcessLock(path); dropin.acquire()",
    "a lock that lingers": "guard.release(); guard = lockfast.Lock(path, linger=1000).acquire()",
    "in a block": "guard.release()\nwith lock: sys.exit()",
    "threads that wait": "in_background(another, lambda: another(timeout=1000))",
    "a drop-in that waits": "in_background(fasteners.InterProcessLock(path).acquire)",
    "a task that waits": "in_background(loop)",
    "threads that are let in": "in_background(*4 * [another]); atexit.register(guard.release)",
    "tasks that are let in": "in_background(*4 * [loop]); atexit.register(guard.release)",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end(path, run, end):
    assert run(BEGIN + ENDS[end], path) == ""
    lockfast.Lock(path).try_acquire().release()


OTHER = """
import sys
import {interpreters} as interpreters

interpreters.run_string(interpreters.create({isolated}), '''
try:
    import lockfast
except ImportError as error:
    print(error)
''')
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="isolation came with CPython 3.12")
def test_an_isolated_interpreter_is_told_that_it_gets_no_locks(run):
    name, isolated = "_interpreters", "'isolated'"
    if sys.version_info < (3, 13):
        name, isolated = "_xxsubinterpreters", "isolated=True"
    told = run(OTHER.format(interpreters=name, isolated=isolated))
    assert "does not support loading in subinterpreters" in told
