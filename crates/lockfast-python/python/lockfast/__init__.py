"""Locks between processes: released when a holder crashes, waited for in the kernel, with timeouts.

lock = lockfast.Lock("nightly.lock")
with lock:                              # waits until it is acquired
    ...
with lock.acquire(timeout=5):           # lockfast.Timeout after five seconds
    ...
lock.acquire()                          # held until
lock.release()
async with lock:                        # a task waits, the event loop does not
    ...
space = lockfast.Space("file:///srv/locks")         # or etcd://h1:2379,h2:2379/prefix, postgres://h/db
with space.lock("nightly") as guard:    # the same Lock
    guard.check()                       # still held? before a side effect
    with lockfast.Fence("report.fence").pass_(guard):   # refuses a writer that has lost its lock
        ...
"""

from lockfast._decorators import locked, read_locked, write_locked
from lockfast._errors import (
    Cancelled,
    Deadlock,
    Holder,
    InvalidOption,
    InvalidPath,
    LockError,
    NotFound,
    NotHeld,
    Owner,
    PermissionDenied,
    Timeout,
    Unreachable,
    Unsupported,
    WouldBlock,
)
from lockfast._fence import Fence, Token
from lockfast._group import Guards, lock_all, lock_all_async, try_lock_all
from lockfast._lockfast import (
    CancelToken,
    Lock,
    LockGuard,
    LockKey,
    LockRow,
    LostCallback,
    ReentrantLock,
    ReentrantLockGuard,
    RwLock,
    RwLockReadGuard,
    RwLockUpgradableReadGuard,
    RwLockWriteGuard,
    Semaphore,
    SemaphorePermit,
    Space,
    __version__,
    inspect,
)
from lockfast._waits import Waiting

__all__ = [
    "CancelToken",
    "Cancelled",
    "Deadlock",
    "Fence",
    "Guards",
    "Holder",
    "InvalidOption",
    "InvalidPath",
    "Lock",
    "LockError",
    "LockGuard",
    "LockKey",
    "LockRow",
    "LostCallback",
    "NotFound",
    "NotHeld",
    "Owner",
    "PermissionDenied",
    "ReentrantLock",
    "ReentrantLockGuard",
    "RwLock",
    "RwLockReadGuard",
    "RwLockUpgradableReadGuard",
    "RwLockWriteGuard",
    "Semaphore",
    "SemaphorePermit",
    "Space",
    "Timeout",
    "Token",
    "Unreachable",
    "Unsupported",
    "Waiting",
    "WouldBlock",
    "__version__",
    "inspect",
    "lock_all",
    "lock_all_async",
    "locked",
    "read_locked",
    "try_lock_all",
    "write_locked",
]
