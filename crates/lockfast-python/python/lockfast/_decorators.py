"""Functions that run under a lock. (Their types are in `_decorators.pyi`.)"""

from functools import wraps

from lockfast._lockfast import Lock, ReentrantLock, RwLock, Semaphore
from lockfast._names import name_of

# What the compiler notes of a function; the module `inspect` would take as long to import as all else.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


def locked(path=None, *, timeout=None, **options):
    """Runs the function alone.

    `@locked` names the lock after module and function; `@locked("state.lock", timeout=5)` by a path.

    A function of a script, or of a module outside of packages, has the lock of its file's directory:
    scripts of one name in two directories do not share it. A function of a package has one lock wherever
    the package lies, and so do packages of one name. Where that is not meant, and where a script moves
    to another directory with each release, give a path, or a lock: `@locked(Lock.named("nightly"))`.
    """
    return _decorated(path, timeout, options, Lock, "acquire")


def read_locked(path=None, *, timeout=None, **options):
    """Runs the function beside other readers."""
    return _decorated(path, timeout, options, RwLock, "read")


def write_locked(path=None, *, timeout=None, **options):
    """Runs the function alone, where others are `read_locked`."""
    return _decorated(path, timeout, options, RwLock, "write")


class _Under:
    """The lock, opened by the first call, and how it is taken."""

    def __init__(self, path, timeout, options, primitive, way):
        self._path = path
        self._timeout = timeout
        self._options = options
        self._primitive = primitive
        self._way = way
        self._lock = None
        self._name = None

    def for_function(self, function):
        """The same for one function: without a path it is named after that."""
        under = _Under(self._path, self._timeout, self._options, self._primitive, self._way)
        if self._path is None:
            under._name = name_of(function)
        return under

    def take(self):
        return getattr(self._opened(), self._way)(timeout=self._timeout)

    def take_as_task(self):
        return getattr(self._opened(), self._way + "_async")(timeout=self._timeout)

    def _opened(self):
        if self._lock is None:
            if self._path is None:
                self._lock = self._primitive.named(self._name)
            elif isinstance(self._path, (Lock, ReentrantLock, RwLock, Semaphore)):
                self._lock = self._path
            else:
                self._lock = self._primitive(self._path, **self._options)
        return self._lock


def _decorated(path, timeout, options, primitive, way):
    if _is_function(path):
        return _wrapped(path, _Under(None, timeout, options, primitive, way))
    if isinstance(path, (Lock, ReentrantLock, RwLock, Semaphore)):
        if options or not hasattr(path, way):
            what = "options" if options else f"{way}()"
            raise TypeError(f"{what} is not for a {type(path).__name__} that is open")
    elif path is None and options:
        raise TypeError("options need a path")
    under = _Under(path, timeout, options, primitive, way)

    def decorate(function):
        if not _is_function(function):
            raise TypeError(f"a function is to be decorated, not {type(function).__name__}")
        return _wrapped(function, under)

    return decorate


def _wrapped(function, under):
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(_wrapped(function.__func__, under))
    under = under.for_function(function)
    flags = function.__code__.co_flags
    if flags & _COROUTINE:
        wrapper = _coroutine(function, under)
    elif flags & _ASYNC_GENERATOR:
        wrapper = _async_generator(function, under)
    elif flags & _GENERATOR:
        wrapper = _generator(function, under)
    else:
        wrapper = _function(function, under)
    return wraps(function)(wrapper)


def _function(function, under):
    def run(*arguments, **keywords):
        with under.take():
            return function(*arguments, **keywords)

    return run


def _coroutine(function, under):
    async def run(*arguments, **keywords):
        async with under.take_as_task():
            return await function(*arguments, **keywords)

    return run


def _generator(function, under):
    # Held from the first item to the last.
    def run(*arguments, **keywords):
        with under.take():
            return (yield from function(*arguments, **keywords))

    return run


def _async_generator(function, under):
    async def run(*arguments, **keywords):
        async with under.take_as_task():
            inner = function(*arguments, **keywords)
            step = inner.__anext__()
            try:
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step = inner.athrow(error)
                    else:
                        step = inner.asend(sent)
            finally:
                await inner.aclose()

    return run


def _is_function(candidate):
    return hasattr(candidate, "__code__") or (
        isinstance(candidate, (classmethod, staticmethod))
        and hasattr(candidate.__func__, "__code__")
    )
