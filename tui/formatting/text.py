"""Foreign text made safe for one line of a terminal, and cut to a width in cells."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size

_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACES: Final = frozenset({"Zl", "Zp", "Zs"})
_SHORT_ID: Final = 8
_ORDER_ID: Final = re.compile(r"[\w-]+-(O\d{8,})\b")
_EXECUTOR_ID: Final = re.compile(r"\b([1-9A-HJ-NP-Za-km-z]{8})[1-9A-HJ-NP-Za-km-z]{32,36}\b")
ELLIPSIS: Final = "…"


def clean(text: str) -> str:
    """Return *text* on one line, without control, direction or unassigned characters."""
    if text.isprintable():  # which is: none of the categories that are dropped or become spaces
        return text
    return "".join(_clean_character(character) for character in text)


def clip(text: str, width: int) -> str:
    """Return *text*, cleaned, in at most *width* cells; what is cut off ends in ``…``."""
    text = clean(text)
    if width <= 0:
        return ""
    return text if cell_len(text) <= width else cut(text, width)


def cut(text: str, width: int) -> str:
    """Return what fits of the clean *text* in *width* cells, one or more, and ``…`` behind it."""
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return *text* in exactly *width* cells, aligned left or *right*."""
    if len(text) <= width and text.isascii() and text.isprintable():  # as nearly every cell
        return text.rjust(width) if right else text.ljust(width)
    clipped = clip(text, width)
    padding = " " * (width - cell_len(clipped)) if width > 0 else ""
    return padding + clipped if right else clipped + padding


def short_id(identifier: str) -> str:
    """Return the first eight characters of an id: enough to tell executors apart on a screen."""
    return clean(identifier)[:_SHORT_ID]


def short_ids(text: str) -> str:
    """Return *text* with ids as screens show them.

    Client order ids go without their session, ``O00000033``, executors' as ``short_id`` has them.
    """
    return _EXECUTOR_ID.sub(r"\1", _ORDER_ID.sub(r"\1", text))


def plural(count: int, word: str) -> str:
    """Return ``1 executor``, ``2 executors``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def wrap_words(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width* cells, broken at spaces; long words are clipped."""
    lines: list[str] = []
    for word in clean(text).split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(clip(word, width))
    return lines


def _clean_character(character: str) -> str:
    if character in "\n\r\t\v\f":
        return " "
    category = unicodedata.category(character)
    if category in _SPACES:
        return " "
    return "" if category in _DROPPED else character
