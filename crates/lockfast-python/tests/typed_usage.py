"""Uses of the package by typed programs: checked by mypy and pyright, and run by `test_types.py`."""

# pyright: strict

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import lockfast
import lockfast.fasteners as fasteners
from typing_extensions import assert_type

directory = Path(sys.argv[1])
lock = lockfast.Lock(directory / "a.lock", mode=0o660, protocol="fcntl", fairness="fifo")
assert_type(lock.path, str)
with lock as guard:
    assert_type(guard, lockfast.LockGuard)
    assert_type(guard.token, "int | None")
with lock.acquire(timeout=timedelta(seconds=5)) as guard:
    assert_type(guard.is_held, bool)
with lock.acquire(timeout=5):
    try:
        lock.try_acquire()
    except lockfast.WouldBlock as error:
        if error.holder is not None:
            assert_type(error.holder.pid, "int | None")

if lock.acquire(blocking=False, timeout=None, cancel=None):
    lock.release()


def tell(waiting: lockfast.Waiting) -> None:
    assert_type(waiting.waited, float)


class Own(lockfast.Lock):
    def __init__(self, name: str) -> None:
        super().__init__(directory / name, on_wait=tell, wait_interval=timedelta(seconds=1))


assert_type(Own("own.lock").acquire(cancel=lockfast.CancelToken()).fileno(), int)
with open(directory / "data", "w") as data:
    assert_type(lockfast.RwLock.from_file(data), lockfast.RwLock)

cache = lockfast.RwLock(str(directory / "b.lock"))
with cache.upgradable_read() as reader:
    assert_type(reader.upgrade(timeout=1.5), lockfast.RwLockWriteGuard)
with lockfast.Semaphore(directory / "c.lock", 4).acquire(2) as permit:
    assert_type(permit.count, int)
with lockfast.ReentrantLock(directory / "d.lock") as again:
    assert_type(again, lockfast.ReentrantLockGuard)
with lockfast.lock_all([lock, (cache, "read")]) as guards:
    assert_type(guards, lockfast.Guards)

space = lockfast.Space(f"file://{directory}/locks")
assert_type(lockfast.Space.from_env(), "lockfast.Space | None")
with space.lock("a", on_wait=tell, wait_interval=1.5) as guard:
    assert_type(guard, lockfast.LockGuard)
    assert_type(guard.lease_left, "float | None")
    assert_type(guard.wait_lost(0), bool)
    assert_type(guard.on_lost(lambda: None), lockfast.LostCallback)
    guard.check()
    if guard.state == "lost":
        raise SystemExit("the lock is lost")
    if (entry := space.holders("a")) is not None:
        assert_type(entry.holders[0].pid, "int | None")
for entry in space.list("a"):
    assert_type(entry.name, str)
for check in space.diagnose():
    assert_type(check.text, str)
assert_type(space.rwlock("b"), lockfast.RwLock)
assert_type(space.semaphore("c", 4).acquire(2), lockfast.SemaphorePermit)
assert_type(space.capabilities.lease, bool)

report = lockfast.inspect(lock.path)
for holder in report.holders:
    assert_type(holder.processes[0].pid, int)


@lockfast.locked(directory / "e.lock", timeout=10)
def update(value: int) -> str:
    return str(value)


@lockfast.locked(lock)
async def update_as_task(value: int) -> str:
    return str(value)


@lockfast.locked(space.lock("f"), timeout=10)
def update_everywhere(value: int) -> str:
    return str(value)


@lockfast.locked(space.semaphore("c", 4))
async def visit(value: int) -> str:
    return str(value)


class Thing:
    @classmethod
    @lockfast.read_locked(cache)
    def read(cls) -> int:
        return 1

    @lockfast.write_locked(space.rwlock("b"), timeout=1)
    async def write(self) -> int:
        return 1


assert_type(update(1), str)
assert_type(update_everywhere(1), str)
assert_type(Thing.read(), int)


fence = lockfast.Fence(directory / "a.fence")
with space.lock("g") as guard, fence.pass_(guard, timeout=1) as passed:
    assert_type(passed, lockfast.LockGuard)
    assert_type(guard.etcd_key, "lockfast.LockKey | None")
    assert_type(guard.postgres_row, "lockfast.LockRow | None")
assert_type(fence.greatest(), "lockfast.Token | None")


async def main() -> None:
    async with lock as guard:
        assert_type(guard, lockfast.LockGuard)
    async with cache.read_async(timeout=1) as reader:
        assert_type(reader, lockfast.RwLockReadGuard)
    guard = await lock.acquire_async()
    guard.release()
    assert_type(await update_as_task(1), str)
    assert_type(await visit(1), str)
    assert_type(await Thing().write(), int)
    async with space.lock("d") as guard:
        watch = asyncio.ensure_future(guard.lost())
        watch.cancel()
    async with lockfast.lock_all_async([lock, space.lock("e")]) as guards:
        assert_type(guards, lockfast.Guards)


asyncio.run(main())

process_lock = fasteners.InterProcessLock(directory / "f.lock")
assert_type(process_lock.acquire(blocking=False), bool)
process_lock.release()
