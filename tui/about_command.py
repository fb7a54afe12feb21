"""The commands ``keys``, ``locate`` and ``doctor``: what is installed and where it looks."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any, Final

from tui import paths

_LIBRARIES: Final = (
    "quarterdeck",
    "textual",
    "rich",
    "numba",
    "polars",
    "sqlalchemy",
    "distributed",
)
_LEAST: Final = (80, 24)


def add_parsers(commands: Any) -> None:  # noqa: ANN401 (argparse's own, private type)
    """Add the parsers to *commands*."""
    keys = commands.add_parser("keys", help="list the keys, with your own changes")
    keys.add_argument("--format", choices=("table", "md", "yaml"), default="table")
    locate = commands.add_parser("locate", help="print every path in use")
    locate.add_argument("--json", action="store_true", help="print one JSON object")
    commands.add_parser("doctor", help="look for what could be in the way")


def run(options: argparse.Namespace) -> int:
    """Carry out one of the commands and return the exit code."""
    match options.command:
        case "keys":
            return _keys(options.format)
        case "locate":
            return _locate(options)
        case _:
            return _doctor(options)


def _keys(form: str) -> int:
    from tui.actions import ACTIONS, all_key_labels, keys_of
    from tui.keymap import check_keymap
    from tui.settings import load_usable_settings

    settings, problem = load_usable_settings(paths.config_dir())
    checked = check_keymap(settings.keymap)
    for line in filter(None, (problem, *checked.problems)):
        sys.stderr.write(f"{line}\n")
    if form == "yaml":
        lines = ["keymap:", *(f"  {one.id}: {json.dumps(keys_of(one, checked.keys))}"
                              for one in ACTIONS if not one.fixed)]  # fmt: skip
    else:
        rows = [
            (one.scope.value, all_key_labels(keys_of(one, checked.keys)), one.id, one.description)
            for one in ACTIONS
        ]
        lines = list(_as_table(rows) if form == "table" else _as_markdown(rows))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _as_table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    scope = ""
    for row in rows:
        if row[0] != scope:
            yield from ("",) if scope else ()
            scope = row[0]
            yield scope
        yield f"  {row[1]:<16}  {row[2]:<22}  {row[3]}"


def _as_markdown(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| where | key | action | does |"
    yield "|---|---|---|---|"
    for row in rows:
        keys = " ".join(f"`{key}`" for key in row[1].split())
        yield f"| {row[0]} | {keys} | `{row[2]}` | {row[3]} |".replace("`|`", "`\\|`")


def _places(data_dir: str | None) -> dict[str, str]:
    """Return every path by what it is; none of them needs to exist."""
    from tui.settings import KEYMAP_FILE, SETTINGS_FILE

    data, config = paths.data_dir(data_dir), paths.config_dir()
    return {
        "data directory": str(data),
        "database": str(data / "quarterdeck.db"),
        "log": str(data / "quarterdeck.log"),
        "settings": str(config / SETTINGS_FILE),
        "key map": str(config / KEYMAP_FILE),
        "own themes": str(config / "themes"),
        "themes": str(paths.asset_dir("themes")),
        "samples": str(paths.asset_dir("sample_configs")),
        "python": sys.executable,
    }


def _locate(options: argparse.Namespace) -> int:
    places = _places(options.data_dir)
    if options.json:
        sys.stdout.write(json.dumps(places, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name:<15} {path}\n" for name, path in places.items())
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Print versions, terminal and paths; every line that needs care begins with ``!``."""
    from tui.settings import load_usable_settings

    problems = 0
    for name in _LIBRARIES:
        sys.stdout.write(f"  {name:<15} {_version(name)}\n")
    sys.stdout.write(f"  {'python':<15} {sys.version.split()[0]}\n")
    _, trouble = load_usable_settings(paths.config_dir())
    for text, is_good in (
        *_terminal(),
        *_data_dir(options.data_dir),
        (f"settings: {trouble or 'good'}", not trouble),
    ):
        problems += not is_good
        sys.stdout.write(f"{' ' if is_good else '!'} {text}\n")
    return 1 if problems else 0


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _terminal() -> Iterator[tuple[str, bool]]:
    """Yield what the terminal can do, and whether that is enough."""
    if not sys.stdout.isatty():
        yield "terminal: standard output is none; the session would run without the console", True
        return
    size = shutil.get_terminal_size()
    name = os.environ.get("TERM", "")
    yield f"terminal: {name or 'TERM is not set'}", name not in ("", "dumb")
    wide = size.columns >= _LEAST[0] and size.lines >= _LEAST[1]
    least = "" if wide else f", the console needs {_LEAST[0]}x{_LEAST[1]}"
    yield f"size: {size.columns}x{size.lines}{least}", wide
    colors = os.environ.get("COLORTERM", "") or "256 or fewer colours"
    yield f"colours: {'none, NO_COLOR is set' if 'NO_COLOR' in os.environ else colors}", True
    encoding = (sys.stdout.encoding or "ascii").lower()
    signs = "" if "utf" in encoding else ", signs are drawn as letters"
    yield f"encoding: {encoding}{signs}", True


def _data_dir(given: str | None) -> Iterator[tuple[str, bool]]:
    directory = paths.data_dir(given)
    if not directory.exists():
        yield f"data directory: {directory} is made at the first start", True
        return
    usable = directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
    yield f"data directory: {directory}{'' if usable else ' cannot be written'}", usable
    if usable:
        free = shutil.disk_usage(directory).free
        enough = free >= 1_000_000_000
        yield f"free space: {free / 1e9:,.1f} GB{'' if enough else ', make room'}", enough
        open_to_all = bool(directory.stat().st_mode & 0o077)
        yield (
            f"private: {f'no, run chmod 700 {directory}' if open_to_all else 'yes'}",
            not open_to_all,
        )
