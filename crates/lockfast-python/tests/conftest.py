"""Fixtures."""

import os
import pathlib
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import servers
import skips
from stage import PATIENCE, Actor


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    skips.judge(f"{item.path.name}::{item.name}", report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    skips.judge(collector.path.name, report)
    return report


@pytest.fixture
def path(tmp_path):
    """Of a lock file that is not there yet."""
    return str(tmp_path / "a.lock")


@pytest.fixture
def actors():
    """Starts processes: `actors("code", ...)`; ends them after the test."""
    started = []

    def start(*setup, **environment):
        actor = Actor.__new__(Actor)
        started.append(actor)
        actor.__init__(*setup, **environment)
        return actor

    yield start
    for actor in started:
        actor.end()


@pytest.fixture
def holder(path, actors):
    """A program without lockfast that holds the lock."""
    take = "fcntl.lockf(file, fcntl.LOCK_EX)"
    return actors("import fcntl, os", f"file = open({path!r}, 'a')", take)


@pytest.fixture
def run():
    """Runs a script with this interpreter, and gives what it prints."""

    def run(script, *arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-B", "-c", script, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def command():
    """The command `lockfast`."""
    given = os.environ.get("LOCKFAST_COMMAND")
    if given is None:
        pytest.skip("LOCKFAST_COMMAND names no command; `cargo xtask test` sets it")
    return given


@pytest.fixture(scope="session")
def etcd(tmp_path_factory):
    """A server of etcd."""
    server = servers.Etcd(tmp_path_factory.mktemp("etcd"))
    yield server
    server.end()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A server of PostgreSQL."""
    server = servers.Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.end()


@pytest.fixture
def url_of(request, tmp_path):
    """Returns the URL of a space on that engine, which is the test's own."""

    def url_of(engine):
        if engine == "file":
            return f"file://{tmp_path}/locks"
        return request.getfixturevalue(engine).url(f"test-{uuid.uuid4().hex}", "ttl=5s")

    return url_of
