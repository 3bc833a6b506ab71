"""What the drop-in has, beside fasteners itself."""

import errno
import inspect
import subprocess
import sys

import fasteners as theirs
import lockfast.fasteners as ours
import pytest

MODULES = ["_utils", "lock", "process_lock", "process_mechanism", "version"]
#: What programs use though it is not for them.
USED = {"__enter__", "__exit__", "_acquire", "_do_close", "_do_open", "_try_acquire"}
CLASSES = ["InterProcessLock", "InterProcessReaderWriterLock", "ReaderWriterLock"]


def test_names():
    assert sorted(ours.__all__) == sorted(theirs.__all__)
    assert ours.__version__ == theirs.__version__ == ours.version.version_string()
    assert ours.version._VERSION == theirs.version._VERSION
    for name in [*theirs.__all__, *MODULES]:
        assert hasattr(ours, name)
    for module in MODULES:
        for name, thing in vars(getattr(theirs, module)).items():
            if getattr(thing, "__module__", None) == f"fasteners.{module}" and name != "_Windows":
                if "Windows" not in name and "Fcntl" not in name:
                    assert hasattr(getattr(ours, module), name), f"{module}.{name}"


@pytest.mark.parametrize("name", CLASSES)
def test_signatures_and_attributes(name):
    own, other = getattr(ours, name), getattr(theirs, name)
    for member, thing in vars(other).items():
        if not member.startswith("_") or member in USED:
            assert hasattr(own, member), member
            if inspect.isfunction(thing) and not member.startswith("_"):
                expected = inspect.signature(thing).parameters.values()
                got = inspect.signature(getattr(own, member)).parameters.values()
                assert [(p.name, p.default) for p in got] == [
                    (p.name, p.default) for p in expected
                ], member


def fails(library, path, tmp_path):
    """Exceptions that programs may look at, as type and text."""
    lock = library.InterProcessLock(path)
    readers = library.InterProcessReaderWriterLock(path)
    threads = library.ReaderWriterLock()

    class Refused(library.InterProcessLock):
        def trylock(self):
            raise OSError(errno.ENOLCK, "No locks available")

    yield lock.release
    yield lock.trylock
    yield readers.release_read_lock
    yield Refused(path).acquire
    yield lambda: lock.acquire(delay=-1)
    yield lambda: lock.acquire(timeout=-1)
    yield library.InterProcessLock(tmp_path).acquire
    yield library.InterProcessReaderWriterLock(tmp_path).acquire_read_lock
    yield library.InterProcessLock("/proc/nothing/x").acquire
    yield library.InterProcessLock("").acquire
    yield library.InterProcessLock("a\0b").acquire
    yield library.InterProcessReaderWriterLock("a\0b").acquire_write_lock
    yield threads.release_read_lock
    yield threads.release_write_lock

    def escalate():
        with threads.read_lock(), threads.write_lock():
            pass

    yield escalate

    class Method:
        _lock = ()

        @library.locked(lock="missing")
        def missing(self):
            pass

        never = [type("Never", (), {"acquire": lambda self: False})()]

        @library.locked(lock="never")
        def refused(self):
            pass

    yield Method().missing
    yield Method().refused


def test_exceptions_have_the_same_type_and_text(path, tmp_path):
    for own, other in zip(fails(ours, path, tmp_path), fails(theirs, path, tmp_path)):
        with pytest.raises(Exception) as expected:
            other()
        with pytest.raises(type(expected.value)) as got:
            own()
        assert type(got.value) is type(expected.value)
        assert str(got.value) == str(expected.value)


SHIMMED = """
import fasteners, fasteners.process_lock, fasteners.process_mechanism
from fasteners import _utils, lock
from fasteners.version import version_string
print(fasteners.__name__, fasteners.process_lock is fasteners.InterProcessLock, version_string())
"""


def test_the_shim(tmp_path, run):
    def install(directory):
        return subprocess.run(
            [sys.executable, "-m", "lockfast.fasteners", "--install-shim", directory],
            capture_output=True,
            text=True,
        )

    shim = tmp_path / "a" / "shim"
    for _ in range(2):
        assert install(shim).returncode == 0, "again is as good as once"
    assert run(SHIMMED, PYTHONPATH=str(shim)) == "lockfast.fasteners False 0.20\n"
    assert run("import fasteners; print(fasteners.__name__)") == "fasteners\n"
    mine = tmp_path / "mine" / "fasteners"
    mine.mkdir(parents=True)
    (mine / "__init__.py").write_text("precious = True\n")
    refused = install(mine.parent)
    assert refused.returncode == 1 and "was not written by this" in refused.stderr
    assert (mine / "__init__.py").read_text() == "precious = True\n"
    assert subprocess.run([sys.executable, "-m", "lockfast.fasteners"]).returncode == 2


OSLO = """
import multiprocessing, sys, threading
from oslo_concurrency import lockutils
assert lockutils.fasteners.__name__ == "lockfast.fasteners", lockutils.fasteners.__name__
directory = sys.argv[1]

@lockutils.synchronized("count", external=True, lock_path=directory)
def add():
    with open(directory + "/count") as file:
        count = int(file.read() or 0)
    with open(directory + "/count", "w") as file:
        file.write(str(count + 1))

def work():
    for _ in range(25):
        add()

open(directory + "/count", "w").close()
context = multiprocessing.get_context("fork")
processes = [context.Process(target=work) for _ in range(2)]
threads = [threading.Thread(target=work) for _ in range(2)]
for each in processes + threads:
    each.start()
for each in processes + threads:
    each.join()
print(open(directory + "/count").read())

with lockutils.external_lock("x", lock_path=directory) as lock:
    assert lock.acquired and lock.exists()
    assert isinstance(lock, lockutils.InterProcessLock)
    other = lockutils.InterProcessLock(lock.path)
    assert other.acquire(blocking=False) is False
fair = lockutils.internal_fair_lock("fair")
with fair.write_lock():
    assert fair.owner == fair.WRITER
with lockutils.lock("both", external=True, lock_path=directory, fair=True):
    pass
lockutils.remove_external_lock_file("x", lock_path=directory)

# As oslo does where greenthreads share a thread.
names = iter(("a", "b"))
mine = lockutils.ReaderWriterLock()
mine._current_thread = lambda: "a"
mine.acquire_write_lock()
mine._current_thread = lambda: "b"
assert not mine.is_writer()
"""


def test_oslo_concurrency_with_the_shim(tmp_path, run):
    pytest.importorskip("oslo_concurrency")
    shim = tmp_path / "shim"
    subprocess.run([sys.executable, "-m", "lockfast.fasteners", "--install-shim", shim], check=True)
    assert run(OSLO, tmp_path, PYTHONPATH=str(shim)).strip() == "100"
