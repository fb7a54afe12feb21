"""Arguments that several sub-commands take."""

from __future__ import annotations

import argparse


def add_overlays(
    parser: argparse.ArgumentParser, *, about_set: str = "change one value, such as seed=7"
) -> None:
    """Add ``--profile`` and ``--set``, which lay values over a file; *about_set* is help."""
    parser.add_argument("--profile", metavar="NAME", help="overlay from the file's profiles")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"{about_set}; may be repeated",
    )


def positive_seconds(text: str) -> float:
    """Return *text* as a finite number of seconds above 0.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
