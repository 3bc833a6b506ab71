"""Functions that run under a lock. (Their types are in `_decorators.pyi`.)"""

import sys
from functools import wraps

from lockfast._lockfast import Lock, RwLock

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


def locked(path=None, *, timeout=None):
    """Runs the function alone.

    `@locked` names the lock after module and function; `@locked("state.lock", timeout=5)` by a path.
    """
    return _decorated(path, timeout, Lock, "acquire")


def read_locked(path=None, *, timeout=None):
    """Runs the function beside other readers."""
    return _decorated(path, timeout, RwLock, "read")


def write_locked(path=None, *, timeout=None):
    """Runs the function alone, where others are `read_locked`."""
    return _decorated(path, timeout, RwLock, "write")


class _Under:
    """A lock by the path that was given; opened by the first call."""

    def __init__(self, primitive, path, name):
        self._primitive = primitive
        self._path = path
        self._name = name
        self._lock = None

    def __call__(self):
        if self._lock is None:
            if self._path is None:
                self._lock = self._primitive.named(self._name)
            else:
                self._lock = self._primitive(self._path)
        return self._lock


def _decorated(path, timeout, primitive, way):
    if _is_function(path):
        return _wrapped(path, None, timeout, primitive, way)

    def decorate(function):
        if not _is_function(function):
            raise TypeError(f"a function is to be decorated, not {type(function).__name__}")
        return _wrapped(function, path, timeout, primitive, way)

    return decorate


def _wrapped(function, path, timeout, primitive, way):
    flags = function.__code__.co_flags
    if flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise TypeError("a generator runs after the call: take the lock in its body")
    under = _Under(primitive, path, _name_of(function))

    if flags & _COROUTINE:
        take = way + "_async"

        @wraps(function)
        async def run_as_task(*arguments, **keywords):
            lock = under()
            async with getattr(lock, take)(timeout=timeout):
                return await function(*arguments, **keywords)

        return run_as_task

    @wraps(function)
    def run(*arguments, **keywords):
        lock = under()
        with getattr(lock, way)(timeout=timeout):
            return function(*arguments, **keywords)

    return run


def _is_function(candidate):
    return hasattr(candidate, "__code__")


def _name_of(function):
    module = function.__module__
    if module == "__main__":
        # The same whether the file is run or imported.
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None) or "interactive"
        stem = file.replace("\\", "/").rpartition("/")[2]
        module = spec.name if spec is not None else stem.removesuffix(".py")
    return f"{module}.{function.__qualname__}"
