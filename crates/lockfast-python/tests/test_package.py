"""The metadata of the wheel."""

from importlib import metadata

import lockfast
import pytest


@pytest.fixture
def package():
    try:
        return metadata.distribution("lockfast")
    except metadata.PackageNotFoundError:
        pytest.skip("lockfast is not installed as a package; `cargo xtask test` installs the wheel")


def test_one_wheel_is_for_all_versions_of_cpython(package):
    tags = [line for line in package.read_text("WHEEL").splitlines() if line.startswith("Tag: ")]
    assert tags and all(tag.startswith("Tag: cp39-abi3-") for tag in tags)
    assert package.metadata["Requires-Python"] == ">=3.9"


def test_metadata(package):
    told = package.metadata
    assert package.version == lockfast.__version__
    assert not package.requires, "it needs nothing else"
    assert told["License-Expression"] == "MIT OR Apache-2.0"
    assert sorted(told.get_all("License-File")) == ["LICENSE-APACHE", "LICENSE-MIT"]
    assert told["Description-Content-Type"].startswith("text/markdown")
    assert "with lock.acquire(timeout=5)" in package.read_text("METADATA")
    assert "Typing :: Typed" in told.get_all("Classifier")


def test_the_licences_are_in_it(package):
    texts = [file.read_text() for file in package.files if "LICENSE" in file.name]
    assert len(texts) == 2
    assert any("Apache License" in text for text in texts)
    assert any("Permission is hereby granted" in text for text in texts)
