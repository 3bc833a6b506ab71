"""Programs that say `import fasteners` get the drop-in."""

import subprocess
import sys

from stage import needs

SHIMMED = """
import sys
import fasteners, fasteners.process_lock, fasteners.process_mechanism
from fasteners import _utils, lock
from fasteners.version import version_string
assert fasteners.process_lock.InterProcessLock is fasteners.InterProcessLock
assert fasteners.process_lock._utils is _utils and lock.ReaderWriterLock is fasteners.ReaderWriterLock
for name in ("_utils", "lock", "process_lock", "process_mechanism", "version"):
    assert sys.modules["fasteners." + name].__name__ == "lockfast.fasteners." + name
print(fasteners.__name__, version_string())
"""


def test_the_shim(tmp_path, run):
    def install(directory):
        return subprocess.run(
            [sys.executable, "-m", "lockfast.fasteners", "--install-shim", directory],
            capture_output=True,
            text=True,
        )

    shim = tmp_path / "a" / "shim"
    for _ in range(2):
        assert install(shim).returncode == 0, "again is as good as once"
    assert run(SHIMMED, PYTHONPATH=str(shim)) == "lockfast.fasteners 0.20\n"
    mine = tmp_path / "mine" / "fasteners"
    mine.mkdir(parents=True)
    (mine / "__init__.py").write_text("precious = True\n")
    refused = install(mine.parent)
    assert refused.returncode == 1 and "was not written by this" in refused.stderr
    assert (mine / "__init__.py").read_text() == "precious = True\n"
    assert subprocess.run([sys.executable, "-m", "lockfast.fasteners"]).returncode == 2


OSLO = """
import multiprocessing, sys, threading
from oslo_concurrency import lockutils
assert lockutils.fasteners.__name__ == "lockfast.fasteners", lockutils.fasteners.__name__
directory = sys.argv[1]

@lockutils.synchronized("count", external=True, lock_path=directory)
def add():
    with open(directory + "/count") as file:
        count = int(file.read() or 0)
    with open(directory + "/count", "w") as file:
        file.write(str(count + 1))

def work():
    for _ in range(25):
        add()

open(directory + "/count", "w").close()
context = multiprocessing.get_context("fork")
processes = [context.Process(target=work) for _ in range(2)]
threads = [threading.Thread(target=work) for _ in range(2)]
for each in processes + threads:
    each.start()
for each in processes + threads:
    each.join()
print(open(directory + "/count").read())

with lockutils.external_lock("x", lock_path=directory) as lock:
    assert lock.acquired and lock.exists()
    assert isinstance(lock, lockutils.InterProcessLock)
    other = lockutils.InterProcessLock(lock.path)
    assert other.acquire(blocking=False) is False
fair = lockutils.internal_fair_lock("fair")
with fair.write_lock():
    assert fair.owner == fair.WRITER
with lockutils.lock("both", external=True, lock_path=directory, fair=True):
    pass
lockutils.remove_external_lock_file("x", lock_path=directory)

# As oslo does where greenthreads share a thread.
names = iter(("a", "b"))
mine = lockutils.ReaderWriterLock()
mine._current_thread = lambda: "a"
mine.acquire_write_lock()
mine._current_thread = lambda: "b"
assert not mine.is_writer()
"""


def test_oslo_concurrency_with_the_shim(tmp_path, run):
    needs("oslo_concurrency")
    shim = tmp_path / "shim"
    subprocess.run([sys.executable, "-m", "lockfast.fasteners", "--install-shim", shim], check=True)
    assert run(OSLO, tmp_path, PYTHONPATH=str(shim)).strip() == "100"
