"""Tests that can't run here: logged for `cargo xtask test`, and failures in CI.

The rules are those of the crate lockfast-testing, and so is the list of what CI can't run.
"""

import os
import pathlib

#: Names the file that gets a line for each skipped test, as in the tests in Rust.
LOG = "LOCKFAST_TEST_SKIPPED"
LIST = pathlib.Path(__file__).parents[2] / "lockfast-testing" / "skipped-in-ci.txt"


def judge(test, report):
    """Logs a skipped test. In CI it fails instead, unless the list names it."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = reason_of(report)
    if is_ci() and not may_be_skipped(LIST.read_text(), test):
        report.outcome = "failed"
        report.longrepr = (
            f"{test} can't run here, which is a failure in CI: {reason}. "
            "Install what it needs, or name it in crates/lockfast-testing/skipped-in-ci.txt."
        )
        return
    log = os.environ.get(LOG)
    if log is not None:
        with open(log, "a") as file:
            file.write(f"{test}\t{reason}\n")


def reason_of(report):
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return " ".join(text.removeprefix("Skipped: ").split())


def may_be_skipped(text, test):
    rows = (line.split() for line in text.splitlines())
    return any(row[:2] == [test.partition("[")[0], "python"] for row in rows)


def is_ci():
    return os.environ.get("CI", "") not in ("", "false")
