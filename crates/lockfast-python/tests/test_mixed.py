"""fasteners itself, its drop-in, this package and the command exclude each other on one path."""

import subprocess
import sys

import lockfast
import pytest
from stage import PATIENCE, Failed, needs, until_waits

#: The code that opens each, tries it without waiting, and releases it.
ALONE = {
    "fasteners": (
        "import fasteners; lock = fasteners.InterProcessLock({path!r})",
        "lock.acquire(blocking=False)",
        "lock.release()",
    ),
    "fasteners, as writer": (
        "import fasteners; lock = fasteners.InterProcessReaderWriterLock({path!r})",
        "lock.acquire_write_lock(blocking=False)",
        "lock.release_write_lock()",
    ),
    "drop-in": (
        "import lockfast.fasteners as fasteners; lock = fasteners.InterProcessLock({path!r})",
        "lock.acquire(blocking=False)",
        "lock.release()",
    ),
    "drop-in, as writer": (
        "import lockfast.fasteners as f; lock = f.InterProcessReaderWriterLock({path!r})",
        "lock.acquire_write_lock(blocking=False)",
        "lock.release_write_lock()",
    ),
    "lockfast": (
        "import lockfast; lock = lockfast.Lock({path!r}); guards = []",
        "guards.append(lock.try_acquire()) is None",
        "guards.pop().release()",
    ),
    "lockfast, as writer": (
        "import lockfast; lock = lockfast.RwLock({path!r}); guards = []",
        "guards.append(lock.try_write()) is None",
        "guards.pop().release()",
    ),
}
READERS = {
    "fasteners": (
        "import fasteners; lock = fasteners.InterProcessReaderWriterLock({path!r})",
        "lock.acquire_read_lock(blocking=False)",
        "lock.release_read_lock()",
    ),
    "drop-in": (
        "import lockfast.fasteners as f; lock = f.InterProcessReaderWriterLock({path!r})",
        "lock.acquire_read_lock(blocking=False)",
        "lock.release_read_lock()",
    ),
    "lockfast": (
        "import lockfast; lock = lockfast.RwLock({path!r}); guards = []",
        "guards.append(lock.try_read()) is None",
        "guards.pop().release()",
    ),
}


class Peer:
    def __init__(self, actors, path, opened, attempt, release, actor=None):
        if opened.startswith("import fasteners"):
            needs("fasteners")
        self.actor = actor or actors()
        self.actor.do(opened.format(path=path))
        self.attempt, self.release_by = attempt, release

    def gets_in(self):
        try:
            return self.actor.do(self.attempt)
        except Failed as failed:
            assert failed.args[0] == "WouldBlock"
            return False

    def release(self):
        self.actor.do(self.release_by)


@pytest.mark.parametrize("other", ALONE)
@pytest.mark.parametrize("one", ALONE)
def test_processes_that_are_alone(path, actors, one, other):
    one, other = Peer(actors, path, *ALONE[one]), Peer(actors, path, *ALONE[other])
    for holder, asker in ((one, other), (other, one)):
        assert holder.gets_in()
        assert not asker.gets_in()
        holder.release()
        assert asker.gets_in()
        asker.release()
    one.gets_in()
    one.actor.kill()
    assert other.gets_in()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("other", READERS)
def test_readers_share(path, actors, reader, other):
    reader, other = Peer(actors, path, *READERS[reader]), Peer(actors, path, *READERS[other])
    assert reader.gets_in() and other.gets_in()
    asker = actors()
    for writer in ALONE.values():
        assert not Peer(actors, path, *writer, asker).gets_in()
    reader.release()
    other.release()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", ALONE)
def test_writers_exclude_readers(path, actors, reader, writer):
    reader, writer = Peer(actors, path, *READERS[reader]), Peer(actors, path, *ALONE[writer])
    assert writer.gets_in()
    assert not reader.gets_in()
    writer.release()
    assert reader.gets_in()


@pytest.mark.parametrize("holder", ALONE)
def test_the_command_is_kept_out(path, actors, command, holder):
    holder = Peer(actors, path, *ALONE[holder])
    assert holder.gets_in()
    attempt = [command, "run", "--no-wait", path, "--", "true"]
    assert subprocess.run(attempt, stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode == 75
    holder.release()
    assert subprocess.run(attempt, timeout=PATIENCE).returncode == 0


@pytest.mark.parametrize("asker", [*ALONE, *(f"reader: {name}" for name in READERS)])
def test_the_command_keeps_out(path, actors, command, asker):
    way = READERS[asker[8:]] if asker.startswith("reader: ") else ALONE[asker]
    asker = Peer(actors, path, *way)
    script = "print('held', flush=True); input()"
    with subprocess.Popen(
        [command, "run", path, "--", sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert not asker.gets_in()
        holder.communicate("\n", timeout=PATIENCE)
    assert asker.gets_in()


def test_a_waiter_is_woken_by_fasteners_itself(path, actors):
    for opened in ("lockfast.Lock({path!r})", "lockfast.fasteners.InterProcessLock({path!r})"):
        holder = Peer(actors, path, *ALONE["fasteners"])
        assert holder.gets_in()
        waiter = actors("import lockfast.fasteners", f"lock = {opened.format(path=path)}")
        waiter.begin("held = lock.acquire()")
        until_waits(path, waiter.pid)
        holder.actor.kill()
        waiter.answer()
        with pytest.raises(lockfast.WouldBlock):
            lockfast.Lock(path).try_acquire()
        waiter.kill()
