"""Spaces on servers: locks that are lost, and servers that do not answer."""

import asyncio
import threading

import lockfast
import pytest
from stage import PATIENCE, Failed, until

TAKES = [
    "space.lock('a').acquire()",
    "space.rwlock('a').read()",
    "space.rwlock('a').write()",
    "space.semaphore('a', 2).acquire()",
]


@pytest.fixture(params=["etcd", "postgres"])
def url(request, url_of):
    return url_of(request.param)


@pytest.fixture
def space(url):
    return lockfast.Space(url)


@pytest.fixture(params=TAKES)
def guard(request, space):
    return eval(request.param, {"space": space})


def lose(space, guard):
    """Has an administrator take the lock away."""
    (holder,) = space.holders("a").holders
    # The number of a permit in the list is not its token on each engine.
    assert holder.permits or guard.token in (None, holder.token)
    assert space.break_token("a", holder.token)


def test_a_lock_that_is_lost(space, guard):
    told = threading.Event()
    watch = guard.on_lost(told.set)
    lost = []
    thread = threading.Thread(target=lambda: lost.append(guard.wait_lost()))
    thread.start()
    lose(space, guard)
    assert told.wait(PATIENCE)
    thread.join(PATIENCE)
    assert lost == [True]
    watch.cancel()
    until(lambda: guard.state == "lost")
    with pytest.raises(lockfast.NotHeld, match="lost"):
        guard.check()
    assert guard.wait_lost(0.01) is True
    # At once, in this thread.
    threads = []
    guard.on_lost(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]
    with pytest.raises(lockfast.NotHeld):
        guard.release()


def test_a_task_learns_that_the_lock_is_lost(space):
    async def main():
        guard = await space.lock("a").acquire_async()
        task = asyncio.ensure_future(guard.lost())
        await asyncio.sleep(0)
        assert not task.done()
        lose(space, guard)
        await asyncio.wait_for(task, PATIENCE)
        # At once, the second time.
        await guard.lost()
        with pytest.raises(lockfast.NotHeld):
            guard.release()

    asyncio.run(main())


def test_a_block_whose_lock_is_lost_says_so_at_its_end(space):
    lock = space.lock("a")
    with pytest.raises(lockfast.NotHeld):
        with lock as guard:
            lose(space, guard)

    async def main():
        async with lock as guard:
            lose(space, guard)

    with pytest.raises(lockfast.NotHeld):
        asyncio.run(main())


def test_a_callback_that_was_taken_back_is_not_called(space, guard):
    told, calls = threading.Event(), []
    guard.on_lost(lambda: calls.append("taken back")).cancel()
    guard.on_lost(lambda: calls.append("kept"))
    guard.on_lost(told.set)
    lose(space, guard)
    assert told.wait(PATIENCE)
    until(lambda: "kept" in calls)
    assert calls == ["kept"]
    with pytest.raises(lockfast.NotHeld):
        guard.release()


def test_an_exception_of_a_callback_is_shown(space, monkeypatch):
    shown = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: shown.append(unraisable.exc_type))
    guard = space.lock("a").acquire()
    guard.on_lost(lambda: 1 / 0)
    lose(space, guard)
    until(lambda: shown == [ZeroDivisionError])
    with pytest.raises(lockfast.NotHeld):
        guard.release()


def test_nobody_has_a_token_twice(space):
    with space.lock("a") as guard:
        assert not space.break_token("a", guard.token + 1000)
        assert not space.break_token("b", guard.token)
        guard.check()


def test_a_lock_on_a_server_is_no_file(space):
    with space.lock("a") as guard:
        assert guard.path == "a" and guard.abandoned is None
        for use in (guard.fileno, guard.is_current):
            with pytest.raises(lockfast.Unsupported, match="no file"):
                use()


def test_leases_are_kept_while_the_interpreter_is_busy(url, actors, tmp_path):
    """A wait that ends meanwhile must not hold up the thread that confirms the lease."""
    there = actors("import asyncio, ctypes, lockfast", f"busy = {str(tmp_path / 'busy')!r}")
    there.do(f"space = lockfast.Space({url.replace('ttl=5s', 'ttl=2s')!r})")
    there.do(
        "async def main():\n"
        "  guard = await space.lock('a').acquire_async()\n"
        "  task = asyncio.ensure_future(space.lock('b').acquire_async())\n"
        "  while not space.holders('b').waiters:\n"
        "    await asyncio.sleep(0.01)\n"
        "  open(busy, 'w').close()\n"
        "  # More than two leases, in which no other thread gets the interpreter's lock.\n"
        "  ctypes.PyDLL(None).sleep(5)\n"
        "  state = guard.state\n"
        "  (await task).release()\n"
        "  guard.release()\n"
        "  return state\n"
    )
    with lockfast.Space(url).lock("b"):
        there.begin("asyncio.run(main())")
        until((tmp_path / "busy").exists)
    assert there.answer() == "valid"


@pytest.mark.parametrize("wait", ["acquire_async()", "acquire_async(timeout=1000)"])
def test_the_loop_goes_on_while_a_server_does_not_answer(etcd, wait):
    space = lockfast.Space(etcd.url("paused", "timeout=60s&ttl=60s"))

    async def visit(inside, leave):
        async with space.lock("b"):
            inside.set()
            await leave.wait()

    async def main():
        inside, leave = asyncio.Event(), asyncio.Event()
        visitor = asyncio.ensure_future(visit(inside, leave))
        await inside.wait()
        etcd.pause()
        try:
            task = asyncio.ensure_future(eval(f"lock.{wait}", {"lock": space.lock("a")}))
            leave.set()
            for _ in range(100):
                await asyncio.sleep(0)
            assert not task.done() and not visitor.done()
        finally:
            etcd.go_on()
        (await task).release()
        await visitor

    asyncio.run(main())


def test_an_interrupt_ends_an_attempt_that_is_not_answered(etcd, actors):
    there = actors("import lockfast, os, signal, threading")
    there.do(f"space = lockfast.Space({etcd.url('paused', 'timeout=60s&ttl=60s')!r})")
    there.do("timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))")
    etcd.pause()
    try:
        there.begin("[timer.start(), space.lock('a').try_acquire()]")
        with pytest.raises(Failed, match="KeyboardInterrupt"):
            there.answer()
    finally:
        etcd.go_on()
