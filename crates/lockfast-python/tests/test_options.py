"""Options."""

import datetime
import errno
import os
import stat

import lockfast
import pytest
from stage import Failed, descriptors, until_waits

ALL = [
    lockfast.Lock,
    lockfast.RwLock,
    lockfast.ReentrantLock,
    lambda path, **o: semaphore(path, **o),
]


def semaphore(path, **options):
    return lockfast.Semaphore(path, 2, **options)


@pytest.mark.parametrize("primitive", ALL)
def test_mode_is_exact(path, primitive):
    before = os.umask(0o077)
    try:
        primitive(path, mode=0o664)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o664


@pytest.mark.parametrize("primitive", ALL)
def test_create_dirs(tmp_path, primitive):
    path = tmp_path / "x" / "y" / "a.lock"
    with pytest.raises(lockfast.NotFound) as caught:
        primitive(path, create_dirs=False)
    assert isinstance(caught.value, FileNotFoundError)
    primitive(path)
    assert path.exists()


@pytest.mark.parametrize("primitive", ALL)
def test_follow_symlinks(tmp_path, primitive):
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    file.touch()
    with pytest.raises(lockfast.InvalidPath) as caught:
        primitive(link)
    assert isinstance(caught.value, ValueError)
    primitive(link, follow_symlinks=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("primitive", ALL)
def test_any_owner(tmp_path, primitive):
    tmp_path.chmod(0o1777)
    planted = tmp_path / "planted"
    planted.touch()
    os.chown(planted, 65534, -1)
    with pytest.raises(PermissionError, match="user 65534.*any_owner"):
        primitive(planted)
    primitive(planted, any_owner=True)


def test_protocol(path, actors):
    there = actors(
        "import fcntl, os",
        f"fd = os.open({path!r}, os.O_RDWR | os.O_CREAT)",
        "fcntl.flock(fd, fcntl.LOCK_EX)",
    )
    lockfast.Lock(path).try_acquire().release()
    for protocol in ("flock", "both"):
        with pytest.raises(lockfast.WouldBlock):
            lockfast.Lock(path, protocol=protocol).try_acquire()
    there.do("fcntl.flock(fd, fcntl.LOCK_UN)")
    there.do("fcntl.lockf(fd, fcntl.LOCK_EX)")
    lockfast.Lock(path, protocol="flock").try_acquire().release()
    for protocol in ("fcntl", "both"):
        with pytest.raises(lockfast.WouldBlock):
            lockfast.Lock(path, protocol=protocol).try_acquire()


def test_options_that_a_protocol_lacks(path):
    for attempt in (
        lambda: lockfast.Semaphore(path, 2, protocol="flock"),
        lambda: lockfast.Lock(path, protocol="flock", fairness="fifo"),
        lockfast.RwLock(path, protocol="flock").upgradable_read,
    ):
        with pytest.raises(lockfast.Unsupported) as caught:
            attempt()
        assert caught.value.errno == errno.ENOTSUP and caught.value.filename == path


@pytest.mark.parametrize("verify, is_noticed", [("path", True), ("links", True), ("off", False)])
def test_verify(path, verify, is_noticed):
    lock = lockfast.Lock(path, verify=verify)
    lock.acquire().release()
    os.unlink(path)
    lock.acquire().release()
    assert os.path.exists(path) == is_noticed


def test_fairness(path, actors):
    setup = ["import lockfast", f"lock = lockfast.Lock({path!r}, fairness='fifo')"]
    others = [actors(*setup) for _ in range(3)]
    lock = lockfast.Lock(path, fairness="fifo")
    guard = lock.acquire()
    for other in others:
        other.begin("guard = lock.acquire()")
        until_waits(path, other.pid)
    guard.release()
    # A newcomer does not overtake those who wait, even in the instant of a release.
    with pytest.raises(lockfast.WouldBlock):
        lock.try_acquire()
    for number, other in enumerate(others):
        other.answer()
        assert all(later.is_silent() for later in others[number + 1 :])
        other.do("guard.release()")
    lock.acquire().release()


def test_linger(path, actors):
    lock = lockfast.Lock(path, linger=datetime.timedelta(hours=1))
    for _ in range(100):
        lock.acquire().release()
    # It is kept meanwhile, and given up when somebody asks.
    assert not lockfast.inspect(path).is_free
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r})")
    there.do("guard = lock.acquire()")
    assert there.do("guard.is_held")


@pytest.mark.parametrize("primitive, way", [("Lock", "acquire"), ("RwLock", "write")])
def test_owner_record(path, actors, primitive, way):
    there = actors(
        "import lockfast",
        f"lock = lockfast.{primitive}({path!r}, owner_record=True, label='import of orders')",
        f"guard = lock.{way}()",
    )
    lock = getattr(lockfast, primitive)(path, owner_record=True)
    with pytest.raises(lockfast.WouldBlock) as caught:
        getattr(lock, f"try_{way}")()
    holder = caught.value.holder
    assert (holder.pid, holder.label) == (there.pid, "import of orders")
    assert holder.since is not None
    token = there.do("guard.token")
    there.kill()
    with getattr(lock, way)() as guard:
        assert guard.token == token + 1
        assert guard.abandoned.pid == there.pid
        assert guard.abandoned.label == "import of orders"
        assert guard.abandoned.is_running is False
        assert guard.abandoned.token == token
    with getattr(lock, way)() as guard:
        assert guard.abandoned is None and guard.token == token + 2


def test_without_an_owner_record_nothing_is_told_nor_written(path):
    with lockfast.Lock(path) as guard:
        assert guard.token is None and guard.abandoned is None
    with lockfast.RwLock(path).write() as guard:
        assert guard.token is None and guard.abandoned is None
    assert os.stat(path).st_size == 0


def test_remove_on_release(path, actors):
    lock = lockfast.Lock(path, remove_on_release=True)
    with lock:
        assert os.path.exists(path)
    assert not os.path.exists(path)
    there = actors(
        "import lockfast",
        f"lock = lockfast.Lock({path!r}, remove_on_release=True)",
        "guard = lock.acquire()",
    )
    with pytest.raises(lockfast.WouldBlock):
        lock.try_acquire()
    there.do("guard.release()")
    assert descriptors(path, there.pid) == 0


def test_content_is_left_alone(path):
    with open(path, "w") as file:
        file.write("precious")
    with lockfast.Lock(path), lockfast.RwLock(path + "2").write():
        pass
    with pytest.raises(lockfast.LockError):
        lockfast.Lock(path, owner_record=True).acquire()
    with open(path) as file:
        assert file.read() == "precious"


def test_others_are_told_nothing_by_a_label_alone(path, actors):
    there = actors("import lockfast", f"lock = lockfast.Lock({path!r}, label='x')")
    there.do("guard = lock.acquire()")
    with pytest.raises(Failed, match="Deadlock"):
        there.do("lock.acquire()")
    assert os.stat(path).st_size == 0
