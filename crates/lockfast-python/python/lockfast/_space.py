"""The features, holders and findings of a space. (Imported by the first call that returns one.)"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from lockfast._lockfast import Space, generation


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """The features of a lock that not every engine has. The others raise Unsupported when they are used."""

    #: Readers hold the lock together.
    shared: bool
    #: An upgradable reader can become the writer, and a writer a reader, with no other writer in between.
    conversions: bool
    #: Waiters of all processes get in in the order of their arrival.
    fifo: bool
    #: Each exclusive hold has a fencing token.
    token: bool
    #: The lock has a lease, and can be lost while it is held.
    lease: bool


@dataclasses.dataclass(frozen=True)
class Party:
    """A holder or a waiter, as it describes itself."""

    #: The mode; None for permits, or if it is not known.
    mode: Literal["exclusive", "read", "upgradable", "write"] | None
    #: The number of permits; 0 for a lock.
    permits: int
    #: The place in the line, from 1; 0 for a holder.
    place: int
    #: The fencing token of a holder, or the number by which the engine orders a waiter: for `break_token()`.
    token: int
    #: The epoch of the token: tokens of different epochs can't be compared.
    epoch: int
    #: The time at which it arrived, as `time.time()` counts, by its own clock.
    since: float | None
    #: The machine that it runs on.
    host: str | None
    #: The process id on that machine.
    pid: int | None
    #: The user that it runs as.
    user: str | None
    #: The program that it runs.
    command: str | None
    #: The label that it gave.
    label: str | None


@dataclasses.dataclass(frozen=True)
class Entry:
    """A name in a space, with its holders and waiters."""

    name: str
    #: The number of permits in all; None for a lock.
    permits: int | None
    #: The holders, in the order of their tokens.
    holders: list[Party]
    #: The waiters, in the order in which they will get in.
    waiters: list[Party]


@dataclasses.dataclass(frozen=True)
class Check:
    """A finding about a server."""

    #: The thing that was tried.
    name: str
    verdict: Literal["ok", "warn", "fail"]
    #: The finding, and what to do about it.
    text: str


#: The spaces that handles were unpickled for, by process and URL, so that they share a connection.
_opened: dict[tuple[int, str], Space] = {}


def rebuild(
    url: str, primitive: str, name: str, permits: int | None, options: dict[str, Any] | None
) -> Any:
    """Opens a handle in the process that unpickles it."""
    key = generation(), url
    space = _opened.get(key)
    if space is None:
        space = _opened[key] = Space(url)
    positional = (name,) if permits is None else (name, permits)
    return getattr(space, primitive.lower())(*positional, **(options or {}))
