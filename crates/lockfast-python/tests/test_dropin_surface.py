"""The names of the drop-in, compared with those of fasteners."""

import errno
import inspect
import time

import lockfast.fasteners as ours
import pytest
from stage import needs

theirs = needs("fasteners")

MODULES = ["_utils", "lock", "process_lock", "process_mechanism", "version"]
#: The names behind the surface of fasteners that the drop-in lacks: implementations for systems.
INNER = {
    "fasteners.process_mechanism._FcntlInterProcessMechanism",
    "fasteners.process_mechanism._FcntlInterProcessReaderWriterLockMechanism",
    "fasteners.process_mechanism._WindowsInterProcessMechanism",
    "fasteners.process_mechanism._WindowsInterProcessReaderWriterLockMechanism",
    "fasteners.process_mechanism._InterProcessReaderWriterLockMechanism.close_handle",
    "fasteners.process_mechanism._InterProcessReaderWriterLockMechanism.get_handle",
    "fasteners.ReaderWriterLock._acquire_read_lock",
    "fasteners.lock.ReaderWriterLock._acquire_read_lock",
    "fasteners.ReaderWriterLock._acquire_write_lock",
    "fasteners.lock.ReaderWriterLock._acquire_write_lock",
    "fasteners.ReaderWriterLock._release_read_lock",
    "fasteners.lock.ReaderWriterLock._release_read_lock",
    "fasteners.ReaderWriterLock._release_write_lock",
    "fasteners.lock.ReaderWriterLock._release_write_lock",
}


def is_of(thing, library):
    """Whether the library defines it, and does not import it."""
    if inspect.ismodule(thing):
        return thing.__name__.startswith(library.__name__)
    if isinstance(thing, (str, int, float)):
        return True
    owner = thing if hasattr(thing, "__qualname__") else type(thing)
    return owner.__module__.startswith(library.__name__)


def surface(library):
    """Each name that it has itself, in its modules and their classes; with what is there."""
    modules = {"": library, **{"." + name: getattr(library, name) for name in MODULES}}
    for suffix, module in modules.items():
        for name, thing in vars(module).items():
            if is_of(thing, library) and (not name.startswith("__") or name == "__version__"):
                full = f"fasteners{suffix}.{name}"
                yield full, thing
                if inspect.isclass(thing):
                    for member in members(thing, library):
                        yield f"{full}.{member}", inspect.getattr_static(thing, member)


def members(cls, library):
    """The attributes that it has itself, or from a class of the library."""
    names = {name for base in cls.__mro__ if is_of(base, library) for name in vars(base)}
    return sorted(name for name in names if not name.startswith("__") and name != "_abc_impl")


def called(thing):
    """The parameters of a call: names, kinds and defaults."""
    function = thing.__func__ if isinstance(thing, (classmethod, staticmethod)) else thing
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


def is_inner(name):
    return any(name == inner or name.startswith(inner + ".") for inner in INNER)


THEIRS = {name: thing for name, thing in surface(theirs) if not is_inner(name)}
OURS = dict(surface(ours))


def test_the_surface_is_there():
    assert sorted(ours.__all__) == sorted(theirs.__all__)
    assert len(THEIRS) > 100
    assert not THEIRS.keys() - OURS.keys()
    # They left the rest out.
    assert dict(surface(theirs)).keys() >= INNER


@pytest.mark.parametrize("name", THEIRS)
def test_each_name_is_the_same_as_there(name):
    own, other = OURS[name], THEIRS[name]
    if isinstance(other, (str, int, float)):
        assert own == other
    elif isinstance(other, property):
        assert isinstance(own, property)
    elif inspect.isclass(other):
        assert inspect.isclass(own)
        if other.__init__ not in (object.__init__, Exception.__init__):
            assert called(own) == called(other)
    elif callable(other) or isinstance(other, (classmethod, staticmethod)):
        assert type(own) is type(other)
        assert called(own) == called(other)


@pytest.mark.parametrize("name", ["InterProcessLock", "InterProcessReaderWriterLock"])
def test_instances_have_the_same_attributes(name, path):
    own, other = getattr(ours, name)(path), getattr(theirs, name)(path)
    for attribute, value in vars(other).items():
        if isinstance(value, (str, bytes, bool, type(None))):
            assert getattr(own, attribute) == value
        else:
            assert type(getattr(own, attribute)) is type(value)
    for attribute in set(dir(other)) - set(dir(object)):
        assert hasattr(own, attribute)


def test_stop_watches():
    assert ours._utils.StopWatch().start().leftover() is None
    for library in (ours, theirs):
        watch = library._utils.StopWatch(duration=1000)
        with watch:
            assert 0 < watch.leftover() <= 1000 and not watch.expired()
        stopped = watch.elapsed()
        time.sleep(0.001)
        assert watch.elapsed() == stopped >= 0
        watch.start()
        assert watch.stopped_at is None


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

    @library.interprocess_locked(path)
    def again(depth):
        return again(depth - 1) if depth else None

    yield lambda: again(1)

    @library.interprocess_write_locked(path)
    def again_as_writer(depth):
        return again_as_writer(depth - 1) if depth else None

    yield lambda: again_as_writer(1)
    yield library.InterProcessLock
    yield lambda: library.interprocess_locked()
    yield lambda: lock.acquire(timeout="soon")
    yield lambda: readers.acquire_read_lock(delay=None)
    yield lambda: readers.acquire_write_lock(timeout=-0.1)

    class Closed(library.InterProcessLock):
        def trylock(self):
            raise ValueError("I/O operation on closed file")

    yield Closed(path).acquire

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
