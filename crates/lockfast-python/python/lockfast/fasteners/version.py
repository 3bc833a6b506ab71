"""The version of fasteners that this stands in for."""

_VERSION = "0.20"


def version_string() -> str:
    """That version, as text."""
    return _VERSION
