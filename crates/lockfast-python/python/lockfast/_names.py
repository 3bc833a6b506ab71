"""Names of locks, after functions."""

from __future__ import annotations

import os
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def name_of(function: Callable[..., Any]) -> str:
    """Returns the name of module and function, the same in every process that runs it.

    Outside packages, the directory is part of the name, as nothing else tells modules of one name apart.
    """
    name = str(function.__module__)
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    file = os.path.realpath(file) if file else None
    if name in ("__main__", "__mp_main__"):
        # Gives one name whether the file is run, imported, or run again by multiprocessing.
        spec = getattr(module, "__spec__", None)
        stem = os.path.basename(file or "interactive")
        name = spec.name if spec is not None else stem[:-3] if stem.endswith(".py") else stem
    if getattr(sys, "frozen", False):
        # A frozen program may unpack its files into another directory each time.
        file = sys.executable
    if "." not in name and file:
        directory = os.fsencode(os.path.dirname(file))
        name += f"@{zlib.crc32(directory):08x}"
    return f"{name}.{function.__qualname__}"
