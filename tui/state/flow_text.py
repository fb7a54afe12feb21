"""The state panels of the event executors: their ``inspect_state()`` text, or counts in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tui.formatting import fit
from tui.state.text import Line, Span, pad_line

if TYPE_CHECKING:
    from engine.api.views import FlowStateView

STATUSES: Final = (
    ("pending", "pend"),
    ("processing", "proc"),
    ("completed", "done"),
    ("failed", "fail"),
    ("cancelled", "canc"),
    ("skipped", "skip"),
    ("aborted", "abrt"),
)
_TEXT_WIDTH: Final = 30


def status_role(status: str, count: int) -> str:
    """Return the role of a count: only failures are in the colour of errors."""
    if not count:
        return "dim"
    return {"failed": "error bold", "processing": "accent", "pending": "accent"}.get(status, "")


def flow_lines(flows: Sequence[FlowStateView], width: int, height: int) -> tuple[Line, ...]:
    """Return the panels in *width* x *height* cells: full texts if they fit, else counts."""
    if not flows:
        return (((" No event executor runs yet.", "dim"),),)
    per_row = max(1, width // _TEXT_WIDTH)
    blocks = [flows[start : start + per_row] for start in range(0, len(flows), per_row)]
    needed = sum(max(len(flow.text.splitlines()) for flow in block) for block in blocks)
    if needed <= height:
        return tuple(line for block in blocks for line in _block_lines(block, width // per_row))
    return count_lines(flows, width)[:height]


def text_lines(flow: FlowStateView) -> tuple[Line, ...]:
    """Return the ``inspect_state()`` text of one executor."""
    lines: list[Line] = []
    for number, text in enumerate(flow.text.splitlines()):
        status, _, rest = text.strip().partition(":")
        if number == 0 or not rest:
            lines.append(((f" {text}", "title" if number == 0 else ""),))
        else:
            role = status_role(status, flow.counts.get(status, 0))
            lines.append(((f"   {status}:", "dim"), (rest, role)))
    return tuple(lines)


def count_lines(flows: Sequence[FlowStateView], width: int) -> tuple[Line, ...]:
    """Return one line of counts for each executor; where it is narrow, rare ones are summed up."""
    longest = max(8, *(len(flow.name) for flow in flows))
    roomy = width >= longest + 2 + 7 * len(STATUSES)
    name_width = longest + (2 if roomy else 1)
    cell = 7 if roomy else 5
    columns = STATUSES if roomy else (*STATUSES[:4], ("other", "rest"))
    head: list[Span] = [(fit(" executor", name_width), "head")]
    head += [(fit(short, cell, right=True), "head") for _, short in columns]
    lines: list[Line] = [tuple(head)]
    for flow in flows:
        spans: list[Span] = [(fit(f" {flow.name}", name_width), "")]
        for status, _ in columns:
            count = _other(flow) if status == "other" else flow.counts.get(status, 0)
            text = f"{count}" if len(f"{count}") < cell else f"{count // 1000}k"
            spans.append((fit(text, cell, right=True), status_role(status, count)))
        lines.append(tuple(spans))
    return tuple(lines)


def _other(flow: FlowStateView) -> int:
    return sum(flow.counts.get(status, 0) for status, _ in STATUSES[4:])


def _block_lines(block: Sequence[FlowStateView], width: int) -> list[Line]:
    columns = [text_lines(flow) for flow in block]
    height = max(len(column) for column in columns)
    lines: list[Line] = []
    for row in range(height):
        spans: list[Span] = []
        for column in columns:
            spans.extend(pad_line(column[row] if row < len(column) else (), width))
        lines.append(tuple(spans))
    return lines
