"""`python -m lockfast.fasteners --install-shim DIR`: for programs that say `import fasteners`."""

from __future__ import annotations

import argparse
import pathlib
import sys

SHIM = '''\
"""fasteners, by lockfast. Written by `python -m lockfast.fasteners --install-shim`."""

import importlib
import sys

for _name in ("_utils", "lock", "process_lock", "process_mechanism", "version"):
    _module = importlib.import_module("lockfast.fasteners." + _name)
    sys.modules[__name__ + "." + _name] = _module
sys.modules[__name__] = importlib.import_module("lockfast.fasteners")
'''


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lockfast.fasteners")
    parser.add_argument(
        "--install-shim",
        metavar="DIR",
        required=True,
        type=pathlib.Path,
        help="write a package `fasteners` into this directory, to be put on PYTHONPATH",
    )
    package = parser.parse_args().install_shim / "fasteners"
    file = package / "__init__.py"
    if package.exists() and not (file.is_file() and file.read_text().startswith(SHIM[:24])):
        print(f"{package} is there already, and was not written by this", file=sys.stderr)
        return 1
    package.mkdir(parents=True, exist_ok=True)
    file.write_text(SHIM)
    print(f"{file}: have {package.parent} on PYTHONPATH, before fasteners itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
