"""Reports of holders and waiters."""

import os
import signal

import lockfast
from stage import until, until_waits


def until_shown(path, count):
    """Returns a report with that number of locks. The kernel's tables change while they are read."""

    def report():
        report = lockfast.inspect(path)
        return report if len(report.locks) == count else None

    return until(report)


def test_holders_and_waiters_of_a_path(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})")
    assert lockfast.inspect(path).is_free
    guard = lockfast.Lock(path).acquire()
    there.begin("guard = lock.acquire()")
    until_waits(path, there.pid)
    report = until_shown(path, 2)
    (holder,), (waiter,) = report.holders, report.waiters
    assert not report.is_free and report.locks == [holder, waiter]
    assert holder.file.path == path and holder.file.inode == os.stat(path).st_ino
    assert (holder.kind, holder.mode, holder.role) == ("ofd", "exclusive", "writer")
    assert holder.permits is None and not holder.file.is_deleted
    (process,) = holder.processes
    assert process.pid == os.getpid() and process.parent == os.getppid()
    assert process.user == os.getuid() and process.threads >= 1
    assert (waiter.state, waiter.processes[0].pid) == ("waiting", there.pid)
    assert any("actor.py" in word for word in waiter.processes[0].command)
    guard.release()
    there.answer()


def test_other_programs_and_permits(path, actors):
    there = actors("import fcntl, lockfast", f"file = open({path!r}, 'w')")
    there.do("fcntl.lockf(file, fcntl.LOCK_EX)")
    there.do(f"permits = lockfast.Semaphore({path + '2'!r}, 5).acquire(3)")
    (lock,) = until_shown(path, 1).holders
    assert (lock.kind, lock.range, lock.processes[0].pid) == ("classic", (0, None), there.pid)
    (permits,) = until_shown(path + "2", 1).holders
    assert (permits.role, permits.permits) == ("permit", (3, 5))


def test_the_machine_and_its_deadlocks(tmp_path, actors):
    a, b = str(tmp_path / "a.lock"), str(tmp_path / "b.lock")
    setup = ["import lockfast", f"a, b = lockfast.Lock({a!r}), lockfast.Lock({b!r})"]
    one, two = actors(*setup, "guard = a.acquire()"), actors(*setup, "guard = b.acquire()")
    until(lambda: {a, b} <= {lock.file.path for lock in lockfast.inspect().holders})
    one.begin("b.acquire()")
    until_waits(b, one.pid)
    two.begin("a.acquire()")
    until_waits(a, two.pid)

    # For its first tenth of a second a thread of Python waits with a timer, so it might give up.
    def circles():
        return [
            deadlock
            for deadlock in lockfast.inspect().deadlocks
            if {step.process.pid for step in deadlock.steps} == {one.pid, two.pid}
            and deadlock.is_certain
        ]

    (circle,) = until(circles)
    assert {step.file.path for step in circle.steps} == {a, b}
    assert str(one.pid) in str(circle)


def test_labels_records_and_stopped_processes(path, actors):
    there = actors("import lockfast")
    there.do(f"lock = lockfast.Lock({path!r}, owner_record=True, label='nightly'); lock.acquire()")
    os.kill(there.pid, signal.SIGSTOP)

    def stopped():
        (lock,) = until_shown(path, 1).holders
        return lock if lock.processes[0].is_stopped else None

    lock = until(stopped)
    assert lock.label == "nightly" and not lock.is_record_unread
    incomplete = lockfast.inspect(path).incomplete
    assert incomplete is None or incomplete.unread_records == 0
