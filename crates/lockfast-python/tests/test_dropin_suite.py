"""fasteners' own tests, from its source package, on the drop-in."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile

import pytest
from stage import needs

ARCHIVE = "fasteners-0.20.tar.gz"
SHA256 = "55dce8792a41b56f727ba6e123fcaee77fd87e638a6863cec00007bfea84c8d8"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Where it is: fetched once, and kept by pytest only. It is never part of this repository."""
    for name in ("diskcache", "eventlet", "more_itertools"):
        needs(name)
    directory = tmp_path_factory.mktemp("fasteners")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    fetch += ["--no-binary", ":all:", "--dest", directory, "fasteners==0.20"]
    subprocess.run(fetch, check=True, timeout=300)
    content = (directory / ARCHIVE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    with tarfile.open(directory / ARCHIVE) as archive:
        archive.extractall(directory)
    return directory / "fasteners-0.20" / "tests"


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shim")
    install = [sys.executable, "-m", "lockfast.fasteners", "--install-shim", directory]
    subprocess.run(install, check=True)
    return directory


PLUGIN = """
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

multiprocessing.set_start_method({method!r})
import fasteners
assert fasteners.__name__ == "lockfast.fasteners", fasteners.__name__


# They give a process some seconds to start or to end, which is too little where much else runs.
def join(self, timeout=None, join=BaseProcess.join):
    return join(self, timeout if timeout is None else 300)


def poll(self, timeout=0.0, poll=Connection.poll):
    return poll(self, 300 if timeout else timeout)


BaseProcess.join = join
Connection.poll = poll
"""


METHODS = ["fork", "forkserver", "spawn"]


@pytest.fixture(scope="module")
def runs(suite, shim, tmp_path_factory):
    """A process and the file of its output, for each way to start processes.

    They run side by side, as they mostly wait.
    """
    started = {}
    for method in METHODS:
        directory = tmp_path_factory.mktemp(method)
        shutil.copytree(suite, directory / "tests")
        (directory / "start_method.py").write_text(PLUGIN.format(method=method))
        paths = os.pathsep.join([str(shim), str(directory)])
        program = os.path.join(os.path.dirname(sys.executable), "pytest")
        output = directory / "output.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                [program, "-q", "-o", f"cache_dir={directory}", "-p", "start_method", "tests"],
                env={**os.environ, "PYTHONPATH": paths},
                cwd=directory,
                stdout=file,
                stderr=file,
            )
        started[method] = process, output
    yield started
    for process, _ in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize("method", METHODS)
def test_fasteners_own_tests(runs, method):
    process, output = runs[method]
    code = process.wait(1800)
    text = output.read_text()
    assert code == 0, text
    assert "52 passed, 2 skipped" in text
