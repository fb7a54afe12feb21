"""What is drawn, for terminals that show plain letters only: one sign for each cell."""

from __future__ import annotations

import unicodedata
from typing import Final

from rich.cells import cell_len

_SIGNS: Final = {
    "^": "▲↑△", "v": "▼↓▽", "*": "●◆▉█▓★", "o": "○◌◍", "!": "⚠", "~": "…≈", "x": "✗✘",
    "+": "✓┼├┤┬┴╭╮╰╯┌┐└┘┏┓┗┛╔╗╚╝▊▋", "#": "▣▇▆▒", "=": "═▅▄━▌▍", "-": "─╌┄┈╍▃—▎▏",
    "|": "│┃║╎╏┆┊▐", ".": "·▂░•", "_": "▁", ">": "▸▶→≥\u203a", "<": "◂◀←≤⏎", "'": "▔▀",
}  # fmt: skip
_SIGN_OF: Final = {one: sign for sign, several in _SIGNS.items() for one in several}
_BRAILLE: Final = range(0x2800, 0x2900)


def ascii_signs(text: str) -> str:
    """Return *text* in ASCII, as many cells wide; control sequences stay as they are."""
    return text if text.isascii() else "".join(map(_plain, text))


def replace_unknown(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks: an error handler for ``codecs.register_error``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_signs(error.object[error.start : error.end]), error.end


def _plain(character: str) -> str:
    if character.isascii():
        return character
    if character in _SIGN_OF:
        return _SIGN_OF[character]
    if ord(character) in _BRAILLE:
        return " " if ord(character) == _BRAILLE.start else ":"
    width = cell_len(character)
    base = unicodedata.normalize("NFKD", character)[:1]
    return (base if base.isascii() else "?").ljust(width, "?")[:width]
