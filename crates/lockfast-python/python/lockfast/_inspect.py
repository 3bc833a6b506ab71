"""What `lockfast.inspect` returns. (Imported by the first call of it.)"""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class LockedFile:
    """A file that has locks."""

    #: Where it is, or was; None if only its number is known.
    path: str | None
    #: It has no name any more: who comes to the path now gets another file.
    is_deleted: bool
    #: The major and minor number of its file system.
    device: tuple[int, int]
    #: Its number in the file system.
    inode: int


@dataclasses.dataclass(frozen=True)
class Process:
    """A process."""

    pid: int
    parent: int | None
    #: The number of the user, if that may be known.
    user: int | None
    #: Its short name.
    name: str
    #: The program and its arguments.
    command: list[str]
    #: When it began, as `time.time()` counts.
    started: float | None
    #: How many threads it has.
    threads: int


@dataclasses.dataclass(frozen=True)
class LockView:
    """A lock that is held, or waited for."""

    file: LockedFile
    #: Which of the kernel's locks it is.
    kind: Literal["ofd", "classic", "flock"]
    mode: Literal["shared", "exclusive"]
    #: What it is used as, if it is a lock of lockfast's own and its bytes tell.
    role: Literal["reader", "upgradable", "writer", "permit"] | None
    state: Literal["holding", "waiting"]
    #: Of a semaphore: how many permits are held, and how many there are.
    permits: tuple[int, int] | None
    #: The first byte that is locked, and the last one unless all that follow are.
    range: tuple[int, int | None]
    #: Those that hold it together, by a descriptor that was inherited, or that wait.
    processes: list[Process]
    #: Since when, as `time.time()` counts, where it can be known.
    since: float | None


@dataclasses.dataclass(frozen=True)
class DeadlockStep:
    """A process in a circle."""

    process: Process
    #: For which file of the next process it waits; None if it waits for that one, its child, to end.
    file: LockedFile | None


@dataclasses.dataclass(frozen=True)
class Deadlock:
    """Processes that wait for each other in a circle: each for the next, and the last for the first."""

    steps: list[DeadlockStep]
    #: False if another thread of one of them might release what the others wait for.
    is_certain: bool
    text: str

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Incomplete:
    """Why a report may not show everything."""

    #: Locks whose process was not found.
    unnamed: int
    #: Processes of other users, which may not be looked into.
    unreadable_processes: int
    #: `/proc` hides the processes of other users.
    hidden_processes: bool
    #: This is a container: processes outside are not shown.
    other_pid_namespaces: bool
    #: A server keeps the locks, and those of other machines are not shown.
    other_machines: bool
    text: str

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Report:
    """Who holds, and who waits: a picture of a moment that may be over."""

    #: By file, the holders first.
    locks: list[LockView]
    #: The processes that wait for each other in a circle.
    deadlocks: list[Deadlock]
    #: Why this may not be everything; None if it is.
    incomplete: Incomplete | None

    @property
    def holders(self) -> list[LockView]:
        """The locks that are held."""
        return [lock for lock in self.locks if lock.state == "holding"]

    @property
    def waiters(self) -> list[LockView]:
        """The locks that somebody waits for."""
        return [lock for lock in self.locks if lock.state == "waiting"]

    @property
    def is_free(self) -> bool:
        """Was nothing held, as far as could be seen?"""
        return not self.holders
