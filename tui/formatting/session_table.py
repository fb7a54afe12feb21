"""Past sessions as lines of text, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tui.formatting.money import format_money, format_signed_money
from tui.formatting.text import fit

_COLUMNS: Final = (
    # Each: heading, width, whether it is right-aligned.
    ("session", 34, False),
    ("mode", 6, False),
    ("status", 12, False),
    ("started", 20, False),
    ("equity", 18, True),
    ("result", 16, True),
    ("executors", 9, True),
    ("fills", 7, True),
)


def session_lines(sessions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return a heading and one line for each session, or one sentence if there is none.

    *sessions* are the JSON values of ``engine.api.list_sessions``: money as decimal text.
    """
    if not sessions:
        yield "no sessions yet; quarterdeck starts one"
        return
    yield _line([heading for heading, _, _ in _COLUMNS])
    for session in sessions:
        equity = Decimal(session["equity"])
        yield _line(
            [
                session["session_id"],
                session["mode"],
                session["status"],
                f"{session['started_at'][:19]}Z",
                f"{format_money(equity)} {session['currency']}",
                format_signed_money(equity - Decimal(session["initial_equity"])),
                str(session["executors"]),
                str(session["fills"]),
            ]
        )


def _line(cells: Sequence[str]) -> str:
    fitted = (
        fit(cell, width, right=right)
        for cell, (_, width, right) in zip(cells, _COLUMNS, strict=True)
    )
    return "  ".join(fitted).rstrip()
