"""A fence lets the newest holder pass, and refuses a writer that has lost its lock."""

import asyncio
import pickle
import subprocess
import sys

import lockfast
import pytest
from lockfast import Fence, Token
from stage import Failed


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.fence"


@pytest.fixture
def fence(file):
    return Fence(file)


def test_a_stale_writer_is_refused(fence, file, actors):
    data = file.parent / "data"
    there = actors("import lockfast, pathlib", f"fence = lockfast.Fence({str(file)!r})")
    assert fence.greatest() is None
    with fence.pass_(Token(7, 5)):
        data.write_text("of the first holder")
    with fence.pass_(Token(7, 5)):
        data.write_text("of the first holder, again")
    there.do("passed = fence.pass_(lockfast.Token(7, 12))")
    there.do(f"pathlib.Path({str(data)!r}).write_text('of the second holder')")
    # While it is at the resource, nobody else passes.
    with pytest.raises(lockfast.Timeout):
        fence.pass_(Token(7, 13), timeout=0.01)
    there.do("passed.release()")
    with pytest.raises(lockfast.NotHeld, match="5 of epoch 7 is older than 12"):
        fence.pass_(Token(7, 5))
    assert data.read_text() == "of the second holder"
    assert fence.greatest() == Token(7, 12)
    # The file of a fence of Rust.
    assert file.read_text() == f"lockfast-fence 1 {7:020} {12:020}\n"
    # A refusal leaves the fence free.
    there.do("fence.pass_(lockfast.Token(7, 12), timeout=0).release()")


def test_another_epoch_needs_an_operator(fence):
    fence.pass_(Token(7, 500)).release()
    for restored in (Token(9, 12), Token(6, 900)):
        with pytest.raises(lockfast.InvalidOption, match="begin_epoch"):
            fence.pass_(restored)
    fence.begin_epoch(9)
    fence.pass_(Token(9, 12)).release()
    with pytest.raises(lockfast.InvalidOption):
        fence.pass_(Token(7, 501))


def test_guards_pass_in_the_order_of_their_holds(fence, tmp_path):
    lock = lockfast.Space(f"file://{tmp_path}/locks").lock("a")
    guards = []
    for _ in range(3):
        with lock as guard:
            fence.pass_(guard).release()
            guards.append(Token(guard.epoch, guard.token))
    with pytest.raises(lockfast.NotHeld, match="older"):
        fence.pass_(guards[1])
    with pytest.raises(lockfast.NotHeld, match="released"):
        fence.pass_(guard)


def test_a_guard_without_a_token_is_refused(fence, path):
    with lockfast.Lock(path) as guard:
        with pytest.raises(lockfast.InvalidOption, match="owner_record"):
            fence.pass_(guard)
        # At once, though another one is at the resource.
        with fence.pass_(Token(0, 1)), pytest.raises(lockfast.InvalidOption):
            fence.pass_(guard)
        assert guard.etcd_key is None and guard.postgres_row is None
    with lockfast.Lock(path, owner_record=True) as guard:
        fence.pass_(guard).release()


def test_a_file_with_other_content_is_left_alone(fence, file):
    for content in (b"notes", b"lockfast-fence 1 7 5\n", b"\xff\xfe", b"x" * 500):
        file.write_bytes(content)
        with pytest.raises(lockfast.InvalidPath, match="a file of its own"):
            fence.pass_(Token(1, 1))
        assert file.read_bytes() == content


def test_a_task_passes(fence, file, actors):
    there = actors("import lockfast", f"fence = lockfast.Fence({str(file)!r})")
    there.do("passed = fence.pass_(lockfast.Token(1, 1))")

    async def main():
        with pytest.raises(lockfast.Timeout):
            await fence.pass_async(Token(1, 2), timeout=0.01)
        task = asyncio.ensure_future(fence.pass_async(Token(1, 2)))
        await asyncio.sleep(0)
        assert not task.done()
        there.do("passed.release()")
        with await task:
            with pytest.raises(Failed, match="Timeout"):
                there.do("fence.pass_(lockfast.Token(1, 3), timeout=0.01)")

    asyncio.run(main())
    there.do("fence.pass_(lockfast.Token(1, 3)).release()")


def test_tokens(monkeypatch, fence):
    early, late = Token(7, 1), Token(7, 2)
    assert early.is_older_than(late) and not late.is_older_than(early)
    assert early.is_older_than(Token(8, 2)) is None
    assert len({early, late, Token(7, 1)}) == 2 and early != (7, 1)
    assert pickle.loads(pickle.dumps(early)) == early
    assert repr(early) == "Token(epoch=7, number=1)"
    monkeypatch.delenv("LOCKFAST_TOKEN", raising=False)
    assert Token.from_env() is None
    monkeypatch.setenv("LOCKFAST_TOKEN", "3")
    monkeypatch.setenv("LOCKFAST_EPOCH", "9")
    assert Token.from_env() == Token(9, 3)
    for number in (-1, 2**64):
        with pytest.raises(OverflowError):
            fence.pass_(Token(1, number))


def test_data_in_etcd(etcd, url_of):
    space = lockfast.Space(url_of("etcd"))

    def write(key, value):
        """Writes if the lock is still held; returns whether it was."""
        command = ["etcdctl", f"--endpoints=127.0.0.1:{etcd.port}", "txn"]
        text = f"{key.comparison}\n\nput balance {value}\n\n\n"
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.startswith("SUCCESS")

    lock = space.lock("balance")
    stopped = lock.acquire()
    key = stopped.etcd_key
    assert key.create_revision == stopped.token and b"/balance/" in key.key
    assert stopped.postgres_row is None
    assert write(key, 100)
    assert space.break_token("balance", stopped.token)
    with pytest.raises(lockfast.NotHeld):
        stopped.release()
    with space.rwlock("balance").write() as guard:
        assert write(guard.etcd_key, 200) and guard.etcd_key != key
        assert not write(key, 300)
    with space.semaphore("pool", 2).acquire() as permit:
        assert permit.etcd_key is None


def test_data_in_postgres(postgres, url_of):
    space = lockfast.Space(url_of("postgres"))
    postgres.run("create table if not exists balance (amount int); insert into balance values (0)")

    def write(row, value):
        """Writes if the lock is still held; returns whether it was."""
        held = (
            f"select 1 from lockfast.names where key = {row.key} and fence = {row.fence} for share"
        )
        update = f"update balance set amount = {value} where exists (select from held) returning 1"
        return postgres.run(f"with held as materialized ({held}) {update}") == "1"

    stopped = space.lock("balance").acquire()
    row = stopped.postgres_row
    assert row.fence == stopped.token and stopped.etcd_key is None
    assert write(row, 100)
    (holder,) = space.holders("balance").holders
    assert space.break_token("balance", holder.token)
    with pytest.raises(lockfast.NotHeld):
        stopped.release()
    with space.lock("balance") as guard:
        assert write(guard.postgres_row, 200) and guard.postgres_row != row
        assert not write(row, 300)
    assert postgres.run("select amount from balance") == "200"
    with space.rwlock("a").read() as guard:
        assert guard.postgres_row is None


def test_a_command_gets_its_token(command, tmp_path):
    script = "import lockfast; print(lockfast.Token.from_env())"
    run = [
        command,
        "run",
        "--on",
        f"file://{tmp_path}/locks",
        "a",
        "--",
        sys.executable,
        "-c",
        script,
    ]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.stdout == "Token(epoch=0, number=1)\n", done.stderr
