"""How a lock is named after a function."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def name_of(function: Callable[..., Any]) -> str:
    """Module and function, the same in every process that runs it."""
    module = function.__module__
    if module == "__main__":
        # The same whether the file is run or imported.
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None) or "interactive"
        stem = file.replace("\\", "/").rpartition("/")[2]
        module = spec.name if spec is not None else stem[:-3] if stem.endswith(".py") else stem
    return f"{module}.{function.__qualname__}"
