"""The command ``quarterdeck``: check the installation, then hand over to the command line."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_DISTRIBUTION: Final = "quarterdeck"


def installation_problem() -> str | None:
    """Return what is wrong with the installation in one line, or None.

    ``engine`` and ``tui`` are common names: another distribution may have overwritten one of them,
    or a folder of the same name may hide it.
    """
    places = {}
    for name in ("engine", "tui"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            return f"quarterdeck is not installed completely: package {name!r} is missing"
        places[name] = Path(spec.origin).resolve().parent.parent
    if places["engine"] != places["tui"]:
        return (
            f"another package hides quarterdeck's: engine is in {places['engine']}, "
            f"tui is in {places['tui']}; leave that folder or unset PYTHONPATH"
        )
    import engine

    if getattr(engine, "DISTRIBUTION", None) != _DISTRIBUTION:
        return (
            f"another distribution has overwritten the package 'engine' in {places['engine']}; "
            f"install quarterdeck in an environment of its own (pipx or uv tool install)"
        )
    return None


def main() -> int:
    """Run the command and return its exit code."""
    problem = installation_problem()
    if problem:
        sys.stderr.write(f"quarterdeck: {problem}\n")
        return 1
    from tui.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
