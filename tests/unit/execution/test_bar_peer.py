"""Trade-for-trade parity with backtesting.py 0.6.6 on the bundled daily bars (T4).

`benchmarks/peer_trades.py` made `peer_trades.json`. Every 17 bars each script orders 10 units at a
close; 7 bars later it cancels and leaves, except with brackets. One exception: the peer fills a
stop-limit order that gapped at its stop; here it fills at the open (FILL-9).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import LIMIT, MARKET, STOP, STOP_LIMIT, BarOrder, Bracket
from engine.model.bar_columns import BarColumns
from engine.testing.bar_run import BarRun, bar_columns

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "sample_configs" / "data" / "sp500-1d.csv"
PEER: dict[str, list[list[float]]] = json.loads((HERE / "peer_trades.json").read_text())
EVERY, HOLD, LOTS = 17, 7, 10

Trade = tuple[int, int, int, Decimal, Decimal]


def cents(price: float) -> int:
    """Return what the peer's script rounds to cents, in ticks."""
    return int(Decimal(str(round(price, 2))) * 100)


ORDERS: dict[str, Callable[[float], BarOrder]] = {
    "market": lambda _: BarOrder(0, 1, MARKET, LOTS),
    "short": lambda _: BarOrder(0, -1, MARKET, LOTS),
    "limit": lambda close: BarOrder(0, 1, LIMIT, LOTS, limit=cents(close * 0.99)),
    "stop": lambda close: BarOrder(0, 1, STOP, LOTS, stop=cents(close * 1.01)),
    "stop_limit": lambda close: BarOrder(
        0, 1, STOP_LIMIT, LOTS, stop=cents(close * 1.01), limit=cents(close * 1.02)
    ),
    "bracket": lambda close: BarOrder(
        0, 1, MARKET, LOTS, bracket=Bracket(sl=cents(close * 0.97), tp=cents(close * 1.03))
    ),
    "short_bracket": lambda close: BarOrder(
        0, -1, MARKET, LOTS, bracket=Bracket(sl=cents(close * 1.02), tp=cents(close * 0.98))
    ),
}


@pytest.fixture(scope="module")
def bars() -> BarColumns:
    with DATA.open(newline="") as file:
        rows = [
            (row["open"], row["high"], row["low"], row["close"]) for row in csv.DictReader(file)
        ]
    return bar_columns(rows)


def play(bars: BarColumns, name: str) -> list[Trade]:
    broker = BarRun(bars, account={"initial_cash": 10_000_000}).broker
    is_timed = "bracket" not in name
    closes = (bars.close / 100).tolist()
    ends = bars.ts_close.tolist()
    position = broker.books[0].position
    for bar in range(len(bars)):
        broker.advance_one(0, bar)
        broker.close_one(0, bar)
        step = bar % EVERY
        if step == HOLD and is_timed:
            broker.cancel_all(now_ns=ends[bar])
            if position.lots:
                side = -1 if position.lots > 0 else 1
                broker.submit(BarOrder(0, side, MARKET, LOTS), now_ns=ends[bar])
        if step == 0 and bar and not position.lots and not broker.books[0].orders:
            broker.submit(ORDERS[name](closes[bar]), now_ns=ends[bar])
    return trades(broker)


def trades(broker: BarBroker) -> list[Trade]:
    """Return the closed round trips; every script holds one at a time."""
    price = broker.books[0].instrument.price
    fills = broker.fill_log
    return [
        (
            entry.side * entry.lots,
            entry.bar,
            leave.bar,
            price(entry.ticks),
            price(leave.ticks),
        )
        for entry, leave in zip(fills[::2], fills[1::2], strict=False)
    ]


@pytest.mark.parametrize("name", ORDERS)
def test_trades_are_those_of_the_peer(bars: BarColumns, name: str) -> None:
    expected = [
        (int(lots), int(first), int(last), Decimal(str(entry)), Decimal(str(leave)))
        for lots, first, last, entry, leave in PEER[name]
    ]
    own = play(bars, name)
    if name == "stop_limit":
        opens = bars.open.tolist()
        gapped = [at for at, trade in enumerate(expected) if trade[3] * 100 < opens[trade[1]]]
        for at in gapped:
            entry = Decimal(opens[expected[at][1]]) / 100
            expected[at] = (*expected[at][:3], entry, expected[at][4])
        assert len(gapped) == 2
    assert own == expected
