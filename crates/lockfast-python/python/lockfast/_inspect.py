"""The classes of the report of `lockfast.inspect`. (Imported by its first call.)"""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class LockedFile:
    """A file that has locks."""

    #: Its path, maybe a former one; None if only its number is known.
    path: str | None
    #: Whether it was deleted: the path now leads to another file, or to none.
    is_deleted: bool
    #: The major and minor numbers of its file system.
    device: tuple[int, int]
    #: Its number in the file system.
    inode: int


@dataclasses.dataclass(frozen=True)
class Process:
    """A process."""

    pid: int
    parent: int | None
    #: The number of its user, if it is known.
    user: int | None
    #: Its short name.
    name: str
    #: The program and its arguments.
    command: list[str]
    #: The time of its start, as `time.time()` counts.
    started: float | None
    #: The number of its threads.
    threads: int
    #: Whether a signal or a debugger stopped it: it releases nothing until it continues.
    is_stopped: bool


@dataclasses.dataclass(frozen=True)
class LockView:
    """A lock that a process holds or waits for."""

    file: LockedFile
    #: The kind of kernel lock.
    kind: Literal["ofd", "classic", "flock"]
    mode: Literal["shared", "exclusive"]
    #: The use of the lock, if lockfast took it and its bytes show the use.
    role: Literal["reader", "upgradable", "writer", "permit"] | None
    state: Literal["holding", "waiting"]
    #: The permits of a semaphore: the number that is held, and the number in all.
    permits: tuple[int, int] | None
    #: The first and the last locked byte; without a last one, all that follow are locked.
    range: tuple[int, int | None]
    #: The processes that hold it, together if they inherited the descriptor, or that wait for it.
    processes: list[Process]
    #: The time since when, as `time.time()` counts, if it is known.
    since: float | None
    #: The label of the holder, by its owner record.
    label: str | None
    #: Whether the file may have an owner record that was not read, as a server would have to answer or a
    #: lease would be broken.
    is_record_unread: bool


@dataclasses.dataclass(frozen=True)
class DeadlockStep:
    """A process in a circle of waits."""

    process: Process
    #: The file of the next process that it waits for; None if it waits for that process, its child, to exit.
    file: LockedFile | None


@dataclasses.dataclass(frozen=True)
class Deadlock:
    """Processes that wait for each other: each for the next one, and the last one for the first."""

    steps: list[DeadlockStep]
    #: False if another thread of a process may release the lock that the others wait for.
    is_certain: bool
    text: str

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Incomplete:
    """The reasons why a report may not show everything."""

    #: The number of locks whose process was not found.
    unnamed: int
    #: The number of processes that could not be read, as they run as other users.
    unreadable_processes: int
    #: Whether `/proc` hides the processes of other users.
    hidden_processes: bool
    #: Whether this is a container, so that processes outside it are not shown.
    other_pid_namespaces: bool
    #: Whether a server keeps the locks, so that those of other machines are not shown.
    other_machines: bool
    #: The number of locks whose owner record was not read.
    unread_records: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Report:
    """A report of holders and waiters. It may be out of date at once."""

    #: The locks, ordered by file, the holders first.
    locks: list[LockView]
    #: The circles of processes that wait for each other.
    deadlocks: list[Deadlock]
    #: The reasons why this may not be everything; None if it is.
    incomplete: Incomplete | None

    @property
    def holders(self) -> list[LockView]:
        """The locks that are held."""
        return [lock for lock in self.locks if lock.state == "holding"]

    @property
    def waiters(self) -> list[LockView]:
        """The locks that processes wait for."""
        return [lock for lock in self.locks if lock.state == "waiting"]

    @property
    def is_free(self) -> bool:
        """Whether nothing was held, as far as could be seen."""
        return not self.holders
