"""Fill prices against backtrader 1.9.78 on the bundled daily bars (T4).

`benchmarks/peer_fills.py` made `peer_fills.json`. Every 13 bars each script orders 10 units at a
close and cancels what did not fill after 11 bars. The peer's trailing stops follow the closes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from engine.execution.bar_order import (
    LIMIT,
    MARKET,
    MOC,
    OFFSET_TICKS,
    STOP,
    TRAILING_STOP,
    BarOrder,
)
from engine.model.bar_columns import BarColumns
from engine.testing.bar_run import BarRun, bar_columns

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "sample_configs" / "data" / "sp500-1d.csv"
PEER: dict[str, list[list[float]]] = json.loads((HERE / "peer_fills.json").read_text())
EVERY, HOLD, LOTS = 13, 11, 10


def cents(price: float) -> int:
    """Return what the peer's script rounds to cents, in ticks."""
    return int(Decimal(str(round(price, 2))) * 100)


def trailing(side: int) -> BarOrder:
    return BarOrder(0, side, TRAILING_STOP, LOTS, trail_unit=OFFSET_TICKS, trail_value=2000)


ORDERS: dict[str, Callable[[float], BarOrder]] = {
    "market": lambda _: BarOrder(0, 1, MARKET, LOTS),
    "moc": lambda _: BarOrder(0, -1, MOC, LOTS),
    "limit_buy": lambda close: BarOrder(0, 1, LIMIT, LOTS, limit=cents(close * 0.99)),
    "limit_sell": lambda close: BarOrder(0, -1, LIMIT, LOTS, limit=cents(close * 1.01)),
    "stop_buy": lambda close: BarOrder(0, 1, STOP, LOTS, stop=cents(close * 1.01)),
    "stop_sell": lambda close: BarOrder(0, -1, STOP, LOTS, stop=cents(close * 0.99)),
    "trail_sell": lambda _: trailing(-1),
    "trail_buy": lambda _: trailing(1),
}


@pytest.fixture(scope="module")
def bars() -> BarColumns:
    with DATA.open(newline="") as file:
        rows = [
            (row["open"], row["high"], row["low"], row["close"]) for row in csv.DictReader(file)
        ]
    return bar_columns(rows)


def play(bars: BarColumns, name: str) -> list[tuple[int, Decimal]]:
    broker = BarRun(
        bars, account={"initial_cash": 10**9, "leverage": 100}, trail_update="close"
    ).broker
    closes = (bars.close / 100).tolist()
    ends = bars.ts_close.tolist()
    for bar in range(len(bars)):
        broker.advance_one(0, bar)
        broker.close_one(0, bar)
        if bar % EVERY == HOLD:
            broker.cancel_all(now_ns=ends[bar])
        if bar % EVERY == 0 and bar:
            broker.submit(ORDERS[name](closes[bar]), now_ns=ends[bar])
    price = broker.books[0].instrument.price
    return [(fill.bar, price(fill.ticks)) for fill in broker.fill_log]


@pytest.mark.parametrize("name", ORDERS)
def test_fills_are_those_of_the_peer(bars: BarColumns, name: str) -> None:
    assert play(bars, name) == [(int(bar), Decimal(str(price))) for bar, price in PEER[name]]
