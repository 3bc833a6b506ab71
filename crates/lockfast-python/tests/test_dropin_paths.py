"""Where the locks of the drop-in are, and what may stand there."""

import itertools
import os
import pathlib
import time

import lockfast.fasteners as fasteners
import pytest
from stage import PATIENCE, until_waits


def test_a_deleted_file_lets_nobody_in_twice(path):
    one, two = fasteners.InterProcessLock(path), fasteners.InterProcessLock(path)
    for _ in range(40):
        with one:
            pass
    os.unlink(path)
    with one:
        assert two.acquire(blocking=False) is False


def test_a_link_that_leads_elsewhere_is_followed_there(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to("a")
    lock = fasteners.InterProcessLock(link / "x.lock")

    def longest_pause(directory):
        """Acquires it until it is there, and returns the longest time between two acquires."""
        file = tmp_path / directory / "x.lock"
        file.unlink(missing_ok=True)
        longest, before, times = 0, time.monotonic(), 0
        while not file.exists():
            with lock:
                now = time.monotonic()
            longest, before, times = max(longest, now - before), now, times + 1
            assert now < deadline
            if times == 40:
                # It stays open by now.
                link.unlink()
                link.symlink_to(directory)
        return longest

    # It may have stayed open for some milliseconds, but no longer, however often it is acquired.
    deadline = time.monotonic() + PATIENCE
    for directory in itertools.cycle("ba"):
        if longest_pause(directory) < 0.01:
            break


def test_a_relative_path_starts_where_the_program_is(tmp_path, monkeypatch):
    lock = fasteners.InterProcessLock("x.lock")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        for _ in range(40):
            with lock:
                assert (tmp_path / name / "x.lock").exists()


def test_a_path_that_the_program_changes(tmp_path):
    lock = fasteners.InterProcessLock(tmp_path / "a.lock")
    for name in ("a.lock", "b.lock"):
        lock.path = os.fsencode(tmp_path / name)
        for _ in range(40):
            with lock:
                assert (tmp_path / name).exists()


def test_paths_of_all_sorts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = os.fsencode(tmp_path) + b"/\xff.lock"
    for path, same in [
        (odd, odd),
        (os.fsdecode(odd), odd),
        (pathlib.Path("a/b/c.lock"), b"a/b/c.lock"),
        (123, b"123"),
        (None, b"None"),
    ]:
        lock = fasteners.InterProcessLock(path)
        assert lock.path == same
        with lock:
            assert os.path.exists(same) and lock.exists()


@pytest.mark.parametrize(
    "path, error",
    [
        ("", FileNotFoundError),
        ("x\0y", ValueError),
        ("{dir}", IsADirectoryError),
        ("{dir}/file/x.lock", (FileExistsError, NotADirectoryError)),
        ("/proc/1/x.lock", OSError),
    ],
)
def test_errors_of_opening_are_pythons_own(tmp_path, path, error):
    (tmp_path / "file").touch()
    path = path.format(dir=tmp_path)
    lock = fasteners.InterProcessLock(path)
    readers = fasteners.InterProcessReaderWriterLock(path)
    for acquire in (lock.acquire, readers.acquire_read_lock, readers.acquire_write_lock):
        with pytest.raises(error):
            acquire()
        with pytest.raises(error):
            acquire(blocking=False)
    assert lock.lockfile is None and not lock.acquired


def test_symbolic_links_are_followed(tmp_path, actors):
    (tmp_path / "link").symlink_to("file")
    with fasteners.InterProcessLock(tmp_path / "link"):
        assert (tmp_path / "file").exists()
        # As any other path: the kernel wakes who waits.
        there = actors(
            "import lockfast.fasteners",
            f"lock = lockfast.fasteners.InterProcessLock({str(tmp_path / 'link')!r})",
        )
        there.begin("lock.acquire()")
        until_waits(tmp_path / "file", there.pid)
    assert there.answer() is True


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RuntimeError, match="Unable to acquire lock on"):
        fasteners.InterProcessLock(tmp_path / "fifo").acquire()
