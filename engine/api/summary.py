"""A session in one line, in one JSON object, and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.api.typed_values import plain
from engine.live.published import PublishedSession
from engine.model.clock import to_iso


def session_summary(
    session: PublishedSession,
    *,
    journal_hash: str,
    seconds: float,
    agents: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the session as JSON values; money as decimal text, ``seconds`` of wall time."""
    account = session.account
    executors = session.executor_counts
    return {
        "session_id": session.id,
        "mode": session.mode,
        "status": session.state,
        "equity": money_text(account.equity),
        "realized_pnl": money_text(account.realised),
        "unrealized_pnl": money_text(account.unrealised),
        "fees": money_text(account.fees),
        "executors": sorted_counts(executors.lifecycles),
        "executor_types": sorted_counts(executors.types),
        "close_types": sorted_counts(executors.close_types),
        "orders": session.order_count,
        "fills": session.fill_count,
        "events": session.events,
        "agents": dict(agents or {}),
        "journal_hash": journal_hash,
        "seconds": seconds,
    }


def status_line(session: PublishedSession) -> str:
    """Return one line about the session."""
    account = session.account
    counts = sorted_counts(session.executor_counts.lifecycles)
    executors = " ".join(f"{word}={count}" for word, count in counts.items()) or "none"
    return (
        f"{to_iso(session.now_ns)[:19]}Z {session.mode} {session.name} {session.state}  "
        f"equity {account.equity:,.2f} {account.currency}  "
        f"pnl {account.equity - account.initial_equity:+,.2f}  "
        f"executors {executors}  fills {session.fill_count}"
    )


def left_over(session: PublishedSession) -> tuple[str, ...]:
    """Return what a stopped session leaves: positions, and executors that did not end."""
    held = [
        f"position {position.market} {plain(position.amount)}"
        for position in session.account.positions
        if position.net_lots
    ]
    active = [
        f"executor {snapshot.id} is {snapshot.lifecycle.value}"
        for snapshot in session.executors.values()
        if not snapshot.is_done
    ]
    return (*held, *active)


def money_text(value: Decimal) -> str:
    """Return *value* as plain decimal text, without exponent, every digit kept."""
    return f"{value:f}"


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that are not 0, by name."""
    return {key: counts[key] for key in sorted(counts) if counts[key]}
