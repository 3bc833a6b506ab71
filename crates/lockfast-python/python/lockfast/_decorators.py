"""Functions that run under a lock. (Their types are in `_decorators.pyi`.)"""

from functools import wraps

from lockfast._lockfast import Lock, ReentrantLock, RwLock, Semaphore
from lockfast._names import name_of

# Flags of code objects. Importing `inspect` for them would take as long as importing the whole package.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


def locked(path=None, *, timeout=None, **options):
    """Runs the function while it holds an exclusive lock.

    `@locked` names the lock after the module and the function; `@locked("state.lock", timeout=5)` opens it
    at a path.

    The name of a function of a script, or of a module outside packages, depends on the directory of the
    file: two scripts of one name in different directories have different locks. A function of a package
    has the same lock wherever the package is installed, and shares it with packages of the same name. Pass
    a path or a lock if you need something else, for example because a script moves to another directory
    with each release: `@locked(Lock.named("nightly"))`.
    """
    return _decorated(path, timeout, options, Lock, "acquire")


def read_locked(path=None, *, timeout=None, **options):
    """Runs the function while it holds a lock to read, together with other readers."""
    return _decorated(path, timeout, options, RwLock, "read")


def write_locked(path=None, *, timeout=None, **options):
    """Runs the function while it holds a lock to write, alone. The readers are `read_locked`."""
    return _decorated(path, timeout, options, RwLock, "write")


class _Under:
    """A lock that the first call opens, and the way to take it."""

    def __init__(self, path, timeout, options, primitive, way):
        self._path = path
        self._timeout = timeout
        self._options = options
        self._primitive = primitive
        self._way = way
        self._lock = None
        self._name = None

    def for_function(self, function):
        """Returns a copy for one function. Without a path, its lock is named after the function."""
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
            raise TypeError(f"cannot use {what} with an open {type(path).__name__}")
    elif path is None and options:
        raise TypeError("options need a path")
    under = _Under(path, timeout, options, primitive, way)

    def decorate(function):
        if not _is_function(function):
            raise TypeError(f"only functions can be decorated, not {type(function).__name__}")
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
    # Holds the lock from the first item to the last.
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
