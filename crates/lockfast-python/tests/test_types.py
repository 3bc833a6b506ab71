"""The program for the type checkers runs, too."""

import pathlib
import sys
from importlib import resources

import lockfast
from stage import HERE, needs


def test_typed_usage(tmp_path, run):
    needs("typing_extensions")
    run((HERE / "typed_usage.py").read_text(), tmp_path)


def test_the_package_says_that_it_is_typed():
    files = resources.files(lockfast)
    assert isinstance(files, pathlib.Path) or sys.version_info < (3, 10)
    for name in ("py.typed", "_lockfast.pyi", "_decorators.pyi"):
        assert (files / name).is_file()


def test_everything_that_is_there_is_told():
    for name in lockfast.__all__:
        assert getattr(lockfast, name).__doc__, name
