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
    while line and not line[-1][0].strip():  # blanks at the end are no loss
        line = line[:-1]
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


def clip_facts(line: Line, width: int, between: str = "  ") -> Line:
    """Return *line* in at most *width* cells: the last facts go as a whole, none is cut in two.

    Facts are parted by the text *between*; a line whose first fact is too long is clipped.
    """
    line = tuple([(clean(text), roles) for text, roles in line])
    text = plain(line)
    if cell_len(text) <= width:
        return line
    indent = len(text) - len(text.lstrip())
    end = text.rfind(between, indent, len(cut_cells(text, width)) + len(between))
    if end <= indent:
        return clip_line(line, width)
    spans: list[Span] = []
    for part, roles in line:
        spans.append((part[:end], roles))
        end -= len(part)
        if end <= 0:
            break
    return tuple(spans)


def cut_cells(text: str, width: int) -> str:
    """Return the beginning of *text* that fills at most *width* cells."""
    if text.isascii():
        return text[: max(width, 0)]
    end, used = 0, 0
    for character in text:
        used += cell_len(character)
        if used > width:
            break
        end += 1
    return text[:end]


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
