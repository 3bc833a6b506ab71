from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, overload

from typing_extensions import Unpack

from lockfast._lockfast import Lock, ReentrantLock, RwLock, Semaphore, _Options, _Path

_F = TypeVar("_F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any])

@overload
def locked(path: _F, /) -> _F: ...
@overload
def locked(
    path: _Path | None = None,
    *,
    timeout: float | timedelta | None = None,
    **options: Unpack[_Options],
) -> Callable[[_F], _F]: ...
@overload
def locked(
    path: Lock | ReentrantLock | Semaphore, *, timeout: float | timedelta | None = None
) -> Callable[[_F], _F]: ...
@overload
def read_locked(path: _F, /) -> _F: ...
@overload
def read_locked(
    path: _Path | None = None,
    *,
    timeout: float | timedelta | None = None,
    **options: Unpack[_Options],
) -> Callable[[_F], _F]: ...
@overload
def read_locked(
    path: RwLock, *, timeout: float | timedelta | None = None
) -> Callable[[_F], _F]: ...
@overload
def write_locked(path: _F, /) -> _F: ...
@overload
def write_locked(
    path: _Path | None = None,
    *,
    timeout: float | timedelta | None = None,
    **options: Unpack[_Options],
) -> Callable[[_F], _F]: ...
@overload
def write_locked(
    path: RwLock, *, timeout: float | timedelta | None = None
) -> Callable[[_F], _F]: ...
