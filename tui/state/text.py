"""Styled lines of text without a terminal: what a panel says, before it is painted.

A line is a tuple of spans, a span is ``(text, roles)``. Roles are words such as ``"bold up"``; a
widget turns them into colours of the theme. Widths are terminal cells.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from rich.cells import cell_len

from tui.formatting import clean, cut

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Span, ...]
Align: TypeAlias = Literal["left", "right"]


def line_width(line: Line) -> int:
    """Return the width of *line* in cells."""
    return sum([len(text) if text.isascii() else cell_len(text) for text, _ in line])


def clip_line(line: Line, width: int) -> Line:
    """Return *line* in at most *width* cells; what was cut ends in ``…``."""
    line = tuple([(clean(text), roles) for text, roles in line])
    if line_width(line) <= width:
        return line
    spans: list[Span] = []
    left = width - 1
    for text, roles in line:
        size = cell_len(text)
        if size > left:
            if left >= 0:
                spans.append((cut(text, left + 1), roles))
            break
        spans.append((text, roles))
        left -= size
    return tuple(spans)


def pad_line(line: Line, width: int) -> Line:
    """Return *line* in exactly *width* cells."""
    line = clip_line(line, width)
    missing = width - line_width(line)
    return (*line, (" " * missing, "")) if missing > 0 else line


def ends(left: Line, right: Line, width: int) -> Line:
    """Return *left* and *right* at the two ends of *width* cells; *left* is clipped first."""
    right = clip_line(right, width)
    room = width - line_width(right)
    gap = 1 if right and room else 0
    return (*pad_line(left, room - gap), (" " * gap, ""), *right)


def plain(line: Line) -> str:
    """Return the bare text of *line*."""
    return "".join(text for text, _ in line)
