"""The Python lines of the documentation work as shown, and print what they say."""

import pathlib
import re

import pytest
from stage import needs

ROOT = pathlib.Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("crates/*/README.md")]
#: Some lines are of other libraries, which whoever runs the tests need not have.
OTHERS = ["fasteners", "filelock", "portalocker"]


def blocks():
    for page in PAGES:
        text = page.read_text()
        name = page.relative_to(ROOT)
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)):
            yield pytest.param(code, id=f"{name}-{number}")


def normal(text, directory):
    """Without what differs: the directory, the numbers of processes, and times."""
    return re.sub(r"\d+(\.\d+)?m?s?", "N", text.replace(str(directory), "/srv/jobs").strip())


def shown(code, directory):
    """The expected output, from the comments after the lines that print."""
    comments = re.findall(r"^ *print\(.*\) +# (.*)$", code, re.M)
    return [normal(comment, directory) for comment in comments]


@pytest.mark.parametrize("code", list(blocks()))
def test_code_of_the_pages(code, tmp_path, monkeypatch, run):
    for name in OTHERS:
        if f"import {name}\n" in code:
            needs(name)
    monkeypatch.chdir(tmp_path)
    printed = normal(run(code), tmp_path).splitlines()
    for line in shown(code, tmp_path):
        # The output of a wait in vain has a test of its own.
        assert line in printed or line.startswith("gave up")


def test_output_of_the_page_for_a_wait_in_vain(tmp_path, monkeypatch, actors, run):
    shown_in_vain = 0
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "import.lock")
    actors("import fcntl", f"file = open({path!r}, 'a')", "fcntl.lockf(file, fcntl.LOCK_EX)")
    for code in (block.values[0] for block in blocks()):
        for line in shown(code, tmp_path):
            if line.startswith("gave up"):
                shown_in_vain += 1
                sooner = code.replace("timeout=5", "timeout=0.05")
                assert line in normal(run(sooner), tmp_path).splitlines()
    assert shown_in_vain == 1


def test_all_pages_with_python_are_found():
    pages = {page.relative_to(ROOT).as_posix() for page in PAGES if "```python" in page.read_text()}
    known = {"README.md", "crates/lockfast-python/README.md", "docs/from-fasteners.md"}
    assert known <= pages
