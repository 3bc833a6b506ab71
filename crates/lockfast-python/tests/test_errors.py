"""Classes and messages of errors."""

import os
import shutil
import signal
import subprocess

import lockfast
import pytest
import seccomp
from stage import HERE, Failed, until_waits

needs_filters = pytest.mark.skipif(
    not seccomp.is_known(), reason="the numbers of system calls are not known on this machine"
)


@needs_filters
def test_a_lock_that_may_not_be_taken_is_not_held(run, path):
    """EACCES is also what some systems say of a lock that somebody holds."""
    script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import errno, lockfast, seccomp
lock, cache = lockfast.Lock(sys.argv[1]), lockfast.RwLock(sys.argv[1])
seccomp.refuse_locks(errno.EACCES)
for take in (lock.try_acquire, lock.acquire, lambda: lock.acquire(timeout=1), cache.try_read):
    try:
        take()
    except lockfast.LockError as error:
        print(type(error).__name__, error.errno == errno.EACCES, "is held" in str(error))
"""
    assert run(script, path) == "PermissionDenied True False\n" * 4


@needs_filters
def test_a_lock_that_is_held_by_others_is_held(run, path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})", "guard = lock.acquire()")
    script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import errno, lockfast, seccomp
lock = lockfast.Lock(sys.argv[1])
seccomp.refuse_locks(errno.EACCES)
try:
    lock.try_acquire()
except lockfast.WouldBlock as error:
    print(error.holder.pid)
"""
    assert run(script, path) == f"{there.pid}\n"


@needs_filters
def test_no_thread_is_not_a_lock_that_is_held(run, path, actors):
    actors("import lockfast", f"lock = lockfast.Lock({path!r})", "guard = lock.acquire()")
    script = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import asyncio, errno, lockfast, seccomp
lock = lockfast.Lock(sys.argv[1])
async def main():
    await lock.acquire_async()
seccomp.refuse_threads(errno.EAGAIN)
try:
    asyncio.run(main())
except OSError as error:
    assert not isinstance(error, BlockingIOError)
    print(type(error).__name__, errno.errorcode[error.errno], "no thread could be started" in str(error))
"""
    assert run(script, path) == "LockError ENOMEM True\n"


@needs_filters
def test_a_thread_waits_without_a_helper(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})", "guard = lock.acquire()")
    waiter = actors(
        f"import sys; sys.path.insert(0, {str(HERE)!r})",
        "import errno, lockfast, seccomp, signal",
        f"lock = lockfast.Lock({path!r})",
        "seccomp.refuse_threads(errno.EAGAIN)",
    )
    with pytest.raises(Failed, match=f"Timeout.*{there.pid}"):
        waiter.do("lock.acquire(timeout=0.3)")
    waiter.do("signal.siginterrupt(signal.SIGINT, False)")
    waiter.begin("lock.acquire()")
    until_waits(path, waiter.pid)
    waiter.kill(signal.SIGINT)
    with pytest.raises(Failed, match="KeyboardInterrupt"):
        waiter.answer()
    waiter.begin("guard = lock.acquire()")
    until_waits(path, waiter.pid)
    there.do("guard.release()")
    waiter.answer()
    assert waiter.do("guard.is_held")


#: Words that only Rust has.
OF_RUST = ["(true)", "(false)", "::", "`open`", "(os error", "&", "Some(", "Duration"]


def cases(path):
    link = path + ".link"
    os.symlink(path, link)
    nodir = os.path.join(path + ".no", "a.lock")
    yield lambda: lockfast.Lock(nodir, create_dirs=False), "create_dirs=True"
    yield lambda: lockfast.Lock(link), "follow_symlinks=True"
    yield lambda: lockfast.Lock.named("a/b"), "named()"
    yield lambda: lockfast.Lock(path, fairness="fifo", protocol="flock"), 'protocol="fcntl"'
    yield lambda: lockfast.Semaphore(path, 2, protocol="flock"), 'protocol="fcntl"'
    yield lambda: lockfast.Lock(path, linger=1, fairness="fifo"), 'fairness="fifo"'
    yield lambda: lockfast.Lock(path, linger=1, verify="path"), 'verify="path"'
    yield lambda: lockfast.RwLock(path, protocol="flock").upgradable_read(), 'protocol="fcntl"'
    yield lambda: lockfast.Lock(os.path.dirname(path)), "directory"
    yield lambda: lockfast.Lock(path + "/a"), "Not a directory"
    yield lambda: lockfast.Lock("/proc/lockfast/a.lock"), "No such file"


def test_errors_speak_python(path):
    lockfast.Lock(path)
    for act, word in cases(path):
        with pytest.raises(lockfast.LockError) as caught:
            act()
        assert word in str(caught.value)
        for rust in OF_RUST:
            assert rust not in str(caught.value)


def test_a_path_keeps_its_name(tmp_path):
    """Words of Rust in a path belong to the program."""
    path = str(tmp_path / "Protocol::Fcntl")
    with lockfast.Lock(path):
        with pytest.raises(lockfast.WouldBlock, match="Protocol::Fcntl"):
            lockfast.Lock(path).try_acquire()


def test_at_the_end_of_the_interpreter(run, path):
    """Nothing can be imported any more when what a module has goes."""
    script = """
import sys
import lockfast

class Job:
    def __init__(self):
        self.write = sys.stdout.write
        self.lock, self.error = lockfast.Lock(sys.argv[1]), lockfast.LockError
        self.other = lockfast.Lock(sys.argv[1])
        self.open = lockfast.Lock
        self.path = sys.argv[1]
        self.guard = self.lock.acquire()

    def __del__(self):
        for act in (
            self.other.try_acquire,
            lambda: self.other.acquire(timeout=0.3),
            self.guard.release,
            self.guard.release,
            lambda: self.open(self.path).acquire().release(),
            lambda: self.open("/proc/no/such"),
        ):
            try:
                act()
                self.write("done ")
            except BaseException as error:
                self.write(type(error).__name__ + " ")

sys.modules["__main__"].job = Job()
# It goes with the last of the modules.
sys.modules["keeps"] = type(sys)("keeps")
sys.modules["keeps"].job = job
import builtins
builtins.job = job
"""
    assert run(script, path) == "WouldBlock Timeout done NotHeld done NotFound "


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Files are on a server, which answers to a lock when the file of that name is there. */

static void answer(int command) {
    const char *name = getenv("SERVER_ANSWERS");
    char asked[4096];
    if (name == NULL || (command < F_OFD_GETLK || command > F_OFD_SETLKW)) return;
    strncpy(asked, name, sizeof asked - 8);
    strcat(asked, ".asked");
    if (access(getenv("SERVER_IS_SLOW"), F_OK) != 0) return;
    close(open(asked, O_CREAT | O_WRONLY, 0600));
    while (access(name, F_OK) != 0) usleep(1000);
}

#define LOCKS(function)                                                   \
    int function(int fd, int command, ...) {                              \
        static int (*next)(int, int, ...);                                \
        va_list list;                                                     \
        if (next == NULL) next = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #function); \
        va_start(list, command);                                          \
        void *argument = va_arg(list, void *);                            \
        va_end(list);                                                     \
        answer(command);                                                  \
        return next(fd, command, argument);                               \
    }
LOCKS(fcntl)
LOCKS(fcntl64)

long syscall(long number, ...) {
    static long (*next)(long, ...);
    long arguments[6];
    va_list list;
    if (next == NULL) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(list, number);
    for (int at = 0; at < 6; at++) arguments[at] = va_arg(list, long);
    va_end(list);
    if (number == SYS_fcntl) answer((int)arguments[1]);
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

#define STATUS(function, type)                                            \
    int function(int fd, struct type *status) {                           \
        static int (*next)(int, struct type *);                           \
        if (next == NULL) next = (int (*)(int, struct type *))dlsym(RTLD_NEXT, #function); \
        int result = next(fd, status);                                    \
        status->f_type = 0x6969;                                          \
        return result;                                                    \
    }
STATUS(fstatfs, statfs)
STATUS(fstatfs64, statfs64)
"""

SLOW = """
import lockfast, os, sys, threading, time
path, answers, slow, act = sys.argv[1:]
lock, cache = lockfast.Lock(path), lockfast.RwLock(path)
pool = lockfast.Semaphore(path + "2", 3)
writer = cache.write() if "writer" in act else None
guard = lock.acquire() if "guard" in act else None
open(slow, "w").close()
done = []
thread = threading.Thread(target=lambda: done.append(eval(act)), daemon=True)
thread.start()
while not os.path.exists(answers + ".asked"):
    time.sleep(0.001)
# This one goes on, while the other one waits for the answer.
assert not done
open(answers, "w").close()
thread.join()
print(len(done))
os._exit(0)
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build a slow server with")
    source = tmp_path_factory.mktemp("shim") / "shim.c"
    source.write_text(SHIM)
    library = source.with_suffix(".so")
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return str(library)


@pytest.mark.parametrize(
    "act",
    [
        "lock.try_acquire()",
        "lock.acquire()",
        "cache.try_read()",
        "cache.write(timeout=1)",
        "pool.try_acquire()",
        "lockfast.lock_all([lock, pool])",
        "lock.__enter__()",
        "guard.release()",
        "guard.__exit__()",
        "lock.release() or 'guard'",
        "writer.release()",
    ],
)
def test_others_run_while_a_server_answers(run, path, shim, act):
    answers, slow = path + ".answers", path + ".slow"
    environment = {"LD_PRELOAD": shim, "SERVER_ANSWERS": answers, "SERVER_IS_SLOW": slow}
    assert run(SLOW, path, answers, slow, act, **environment) == "1\n"
