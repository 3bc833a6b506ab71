"""The Python lines of the documentation work as shown."""

import pathlib
import re

import pytest
from stage import needs

ROOT = pathlib.Path(__file__).parents[3]
PAGES = ["README.md", "crates/lockfast-python/README.md", "docs/from-fasteners.md"]
#: Some lines are of other libraries, which whoever runs the tests need not have.
OTHERS = ["fasteners", "filelock", "portalocker"]


def blocks():
    for page in PAGES:
        text = (ROOT / page).read_text()
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)):
            yield pytest.param(code, id=f"{page}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_what_the_pages_show(code, tmp_path, monkeypatch, run):
    for name in OTHERS:
        if f"import {name}\n" in code:
            needs(name)
    monkeypatch.chdir(tmp_path)
    run(code)
