"""A test that can't run is logged, and fails in CI."""

import os
import subprocess
import sys

import pytest
import skips

TESTS = """
import pytest

@pytest.mark.skipif(True, reason="it needs a moon")
def test_by_mark():
    pass

def test_by_call():
    pytest.skip("no   moon")

@pytest.mark.xfail(strict=True)
def test_that_is_expected_to_fail():
    assert False
"""
MODULE = "import pytest\npytest.importorskip('no_such_module', reason='it is not there')\n"
CONFTEST = (
    "from conftest_of_lockfast import pytest_make_collect_report, pytest_runtest_makereport\n"
)
PYTEST = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
PYTEST += ["--continue-on-collection-errors"]


@pytest.fixture
def outcome(tmp_path):
    """Runs tests that are skipped, and gives the exit code, the output, and the log."""
    here = os.path.dirname(__file__)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_none.py").write_text(MODULE)
    (tmp_path / "conftest_of_lockfast.py").symlink_to(os.path.join(here, "conftest.py"))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    log = tmp_path / "log"

    def outcome(ci):
        done = subprocess.run(
            [*PYTEST, tmp_path],
            env={**os.environ, "CI": ci, "PYTHONPATH": here, skips.LOG: str(log)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, log.read_text() if log.exists() else ""

    return outcome


def test_a_skip_is_logged(outcome):
    code, output, log = outcome(ci="")
    assert code == 0, output
    assert "3 skipped" in output and "1 xfailed" in output
    assert sorted(log.splitlines()) == [
        "test_none.py\tit is not there",
        "test_some.py::test_by_call\tno moon",
        "test_some.py::test_by_mark\tit needs a moon",
    ]


def test_a_skip_is_a_failure_in_ci(outcome):
    code, output, log = outcome(ci="true")
    assert code != 0 and log == ""
    for reason in ("it needs a moon", "no moon", "it is not there"):
        assert f"a failure in CI: {reason}" in output, output


def test_the_list_names_tests_that_ci_may_skip():
    text = "# test_a.py::test_b\ntest_a.py::test_b python why\na::c musl why\n"
    assert skips.may_be_skipped(text, "test_a.py::test_b")
    assert skips.may_be_skipped(text, "test_a.py::test_b[one]")
    assert not skips.may_be_skipped(text, "test_a.py::test_c")
    assert not skips.may_be_skipped(text, "a::c")
