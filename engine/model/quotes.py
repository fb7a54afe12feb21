"""Market data records (backtest.md 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class QuoteTick:
    """Best bid and ask of one market at one instant of the session.

    ``source_ns`` is the stamp in the source file for replayed data, 0 for a synthetic market.
    """

    market: ConnectorPair
    ts_ns: int
    bid_ticks: int
    ask_ticks: int
    bid_lots: int
    ask_lots: int
    source_ns: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar over ``[ts_open_ns, ts_close_ns)``; its event time is ``ts_close_ns`` (DATA-1).

    ``volume_lots`` is -1 when it is unknown.
    """

    market: ConnectorPair
    ts_open_ns: int
    ts_close_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int = -1
