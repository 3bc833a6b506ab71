"""Functions that run under a lock."""

import asyncio
import inspect
import os
import subprocess
import sys

import lockfast
import pytest


def is_locked(path):
    try:
        lockfast.Lock(path).try_acquire().release()
    except lockfast.WouldBlock:
        return True
    return False


def test_a_function(path):
    @lockfast.locked(path)
    def function(one, *, two):
        "what it does"
        assert is_locked(path)
        return one, two

    assert not os.path.exists(path), "it is opened by the first call"
    assert function(1, two=2) == (1, 2)
    assert not is_locked(path)
    assert (function.__name__, function.__doc__) == ("function", "what it does")
    assert function.__wrapped__ is not function


def test_an_exception_releases(path):
    @lockfast.locked(path)
    def function():
        raise KeyError

    with pytest.raises(KeyError):
        function()
    assert not is_locked(path)


def test_a_time_out(path):
    @lockfast.locked(path, timeout=0.01)
    def function():
        pass

    @lockfast.locked(path, timeout=0.01)
    async def coroutine():
        pass

    with lockfast.Lock(path):
        with pytest.raises(lockfast.Timeout):
            function()
        with pytest.raises(lockfast.Timeout):
            asyncio.run(coroutine())
    function()


def test_one_that_calls_itself_is_told(path):
    @lockfast.locked(path)
    def function():
        function()

    with pytest.raises(lockfast.Deadlock):
        function()


def test_methods(path):
    class Thing:
        @lockfast.locked(path)
        def method(self):
            return self, is_locked(path)

        @classmethod
        @lockfast.locked(path)
        def inside(cls):
            return cls, is_locked(path)

        @lockfast.locked(path)
        @classmethod
        def outside(cls):
            return cls, is_locked(path)

        @lockfast.locked(path)
        @staticmethod
        def static(value):
            return value, is_locked(path)

    thing = Thing()
    assert thing.method() == (thing, True)
    assert thing.inside() == Thing.inside() == (Thing, True)
    assert thing.outside() == Thing.outside() == (Thing, True)
    assert thing.static(5) == (5, True)


def test_coroutines(path):
    @lockfast.locked(path)
    async def coroutine(value):
        await asyncio.sleep(0)
        return value, is_locked(path)

    assert inspect.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine(1)) == (1, True)

    async def several():
        return await asyncio.gather(*(coroutine(number) for number in range(5)))

    assert asyncio.run(several()) == [(number, True) for number in range(5)]


def test_generators_hold_it_from_the_first_item_to_the_last(path):
    @lockfast.locked(path)
    def generator():
        sent = yield is_locked(path)
        return sent

    items = generator()
    assert not is_locked(path)
    assert next(items)
    with pytest.raises(StopIteration) as caught:
        items.send("word")
    assert caught.value.value == "word"
    assert not is_locked(path)
    items = generator()
    next(items)
    items.close()
    assert not is_locked(path)


def test_asynchronous_generators(path):
    ended = []

    @lockfast.locked(path)
    async def generator():
        try:
            sent = yield is_locked(path)
            yield sent
        except KeyError:
            yield "caught"
        finally:
            ended.append(is_locked(path))

    assert inspect.isasyncgenfunction(generator)

    async def main():
        assert [item async for item in generator()] == [True, None]
        items = generator()
        assert await items.__anext__()
        assert await items.asend("word") == "word"
        assert await items.athrow(KeyError()) == "caught"
        assert is_locked(path)
        ended.clear()
        await items.aclose()
        assert ended == [True], "it ends under the lock"
        assert not is_locked(path)
        items = generator()
        assert await items.__anext__()
        with pytest.raises(ValueError):
            await items.athrow(ValueError())
        assert not is_locked(path)

    asyncio.run(main())


def test_readers_and_writers(path):
    cache = lockfast.RwLock(path)

    @lockfast.read_locked(path)
    def read():
        cache.try_read().release()
        with pytest.raises(lockfast.WouldBlock):
            cache.try_write()
        return "read"

    @lockfast.write_locked(path, timeout=60)
    async def write():
        with pytest.raises(lockfast.WouldBlock):
            cache.try_read()
        return "written"

    assert read() == "read"
    assert asyncio.run(write()) == "written"


def test_a_lock_that_is_open(path):
    lock = lockfast.ReentrantLock(path)

    @lockfast.locked(lock)
    def function(depth):
        return function(depth - 1) if depth else is_locked(path)

    assert function(3)
    with pytest.raises(TypeError):
        lockfast.locked(lock, mode=0o600)
    with pytest.raises(TypeError):
        lockfast.read_locked(lock)


def test_options(path):
    @lockfast.locked(path, mode=0o640)
    def function():
        return os.stat(path).st_mode & 0o777

    assert function() == 0o640
    with pytest.raises(TypeError):
        lockfast.locked(mode=0o640)


SCRIPT = """
import lockfast, sys
from lockfast._names import name_of

{decorator}
def update():
    name = name_of(update.__wrapped__)
    assert name.partition("@")[0] in ("{name}", "{name}.update")
    lock = lockfast.Lock.named(name)
    try:
        lock.try_acquire()
    except lockfast.WouldBlock:
        print(lock.path, "is held")

update()
"""


@pytest.mark.parametrize("decorator", ["@lockfast.locked", "@lockfast.locked()"])
def test_bare_ones_are_named_after_module_and_function(tmp_path, decorator):
    (tmp_path / "bare.py").write_text(SCRIPT.format(decorator=decorator, name="bare"))
    (tmp_path / "package").mkdir()
    inner = tmp_path / "package" / "bare.py"
    inner.write_text(SCRIPT.format(decorator=decorator, name="package.bare"))
    paths = set()
    for arguments in (
        ["bare.py"],
        ["-c", "import bare"],
        ["-m", "bare"],
        ["-c", "import package.bare"],
        ["-m", "package.bare"],
    ):
        # Run or imported, it is one lock.
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        path, *told = done.stdout.split()
        assert told == ["is", "held"]
        paths.add(path)
    assert len(paths) == 2
    for path in paths:
        os.unlink(path)


TAKES = """
import multiprocessing
import sys

import lockfast
from lockfast._names import name_of

@lockfast.locked(timeout=0)
def update():
    print(lockfast.Lock.named(name_of(update.__wrapped__)).path, flush=True)
    input()

if __name__ == "__main__":
    if sys.argv[1:]:
        child = multiprocessing.get_context("spawn").Process(target=update)
        child.start()
        child.join()
    else:
        update()
"""


def test_scripts_of_one_name_in_two_directories_have_locks_of_their_own(tmp_path):
    script = [tmp_path / directory / "twice.py" for directory in ("one", "other")]
    for file in script:
        file.parent.mkdir()
        file.write_text(TAKES)
    (tmp_path / "link.py").symlink_to(script[0])

    def start(*arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-B", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    with start(script[0]) as holder:
        path = holder.stdout.readline().strip()
        # The same file, however it is run.
        for same in (
            start("twice.py", cwd=script[0].parent),
            start("-m", "twice", cwd=script[0].parent),
            start("-c", "import twice; twice.update()", cwd=script[0].parent),
            start(tmp_path / "link.py"),
            start(script[0], "in a process that multiprocessing starts"),
        ):
            told, errors = same.communicate("\n")
            assert not told and "held by pid" in errors, errors
        with start(script[1]) as other:
            told, errors = other.communicate("\n")
            path_of_other = told.strip()
            assert path_of_other not in ("", path), errors
        holder.communicate("\n")
    os.unlink(path)
    os.unlink(path_of_other)


def test_objects_that_can_not_be_decorated(path):
    for wrong in (1, print, "function"):
        with pytest.raises(TypeError):
            lockfast.locked(path)(wrong)
    with pytest.raises(ValueError):

        @lockfast.locked(path, timeout=-1)
        def function():
            pass

        function()
