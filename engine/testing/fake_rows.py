"""Hand-made executors for the fake console engine: every lifecycle, every close type, both sides.

PnL is counted as by the executors, with a fee of 5 bps per fill; nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import base58

from engine.api.views import ExecutorRow

NOW_NS: Final = 1_772_453_071_204_000_000
"""2026-03-02T12:04:31.204Z: the instant at which the fake stands still."""
SECOND_NS: Final = 1_000_000_000
CONNECTOR: Final = "paper_perpetual"
FEE: Final = Decimal("0.0005")
PRICE_STEP: Final = {"BTC-USDT": Decimal("0.1"), "EUR-USD": Decimal("0.00001")}
BID: Final = {"BTC-USDT": Decimal("64480.4"), "EUR-USD": Decimal("1.08395")}
ASK: Final = {"BTC-USDT": Decimal("64480.6"), "EUR-USD": Decimal("1.08397")}


class Specimen(NamedTuple):
    """One hand-made executor; ``exit`` is the price at which it was closed, if it was."""

    type: str
    pair: str
    side: str
    lifecycle: str
    close_type: str | None
    amount: str
    filled: str
    entry: str | None
    exit: str | None
    controller: str
    age_s: float
    retries: int = 0
    error: str = ""


_REJECTED: Final = "order rejected by paper_perpetual: price is off the tick of 0.1"
_POOR: Final = "needs 64,480.60 USDT, available 9,120.00 USDT"

SPECIMENS: Final = (
    Specimen("position", "BTC-USDT", "BUY", "running", None,
             "0.0400", "0.0400", "64120.0", None, "main", 7_471.0),
    Specimen("grid", "EUR-USD", "BUY", "running", None,
             "10000", "10000", "1.08420", None, "grid-b", 664.0),
    Specimen("position", "EUR-USD", "SELL", "running", None,
             "25000", "25000", "1.08510", None, "trend-a", 11_820.0),
    Specimen("position", "BTC-USDT", "SELL", "running", None,
             "0.0250", "0.0250", "64010.5", None, "trend-a", 3_305.0, 3, _REJECTED),
    Specimen("dca", "BTC-USDT", "BUY", "created", None,
             "0.0300", "0", None, None, "main", 3.0),
    Specimen("position", "BTC-USDT", "BUY", "running", None,
             "0.1000", "0.0800", "64471.2", None, "trend-a", 95.0),
    Specimen("position", "EUR-USD", "BUY", "shutting_down", "EARLY_STOP",
             "18000", "18000", "1.08388", None, "main", 1_502.0),
    Specimen("position", "BTC-USDT", "SELL", "shutting_down", "TAKE_PROFIT",
             "0.0500", "0.0500", "66480.0", None, "trend-a", 14_904.0, 1),
    Specimen("position", "BTC-USDT", "SELL", "failed", "FAILED",
             "0.0100", "0", "63900.0", None, "main", 21_600.0, 10, _REJECTED),
    Specimen("position", "BTC-USDT", "BUY", "failed", "INSUFFICIENT_BALANCE",
             "1.0000", "0", "64480.6", None, "main", 18_033.0, 0, _POOR),
    Specimen("position", "BTC-USDT", "BUY", "terminated", "TAKE_PROFIT",
             "0.0400", "0.0400", "62610.0", "64488.3", "trend-a", 25_200.0),
    Specimen("position", "EUR-USD", "BUY", "terminated", "STOP_LOSS",
             "20000", "20000", "1.09120", "1.08029", "trend-a", 30_411.0),
    Specimen("position", "BTC-USDT", "SELL", "terminated", "TRAILING_STOP",
             "0.0600", "0.0600", "65900.0", "64990.5", "trend-a", 43_205.0),
    Specimen("position", "EUR-USD", "SELL", "terminated", "TIME_LIMIT",
             "15000", "15000", "1.08470", "1.08461", "main", 57_600.0),
    Specimen("position", "BTC-USDT", "BUY", "terminated", "EARLY_STOP",
             "0.0200", "0.0200", "64902.7", "64610.0", "main", 86_470.0),
    Specimen("position", "BTC-USDT", "BUY", "terminated", "POSITION_HOLD",
             "0.0300", "0.0300", "63720.5", "64200.0", "main", 129_800.0),
    Specimen("position", "EUR-USD", "SELL", "terminated", "EXPIRED",
             "12000", "0", "1.08600", None, "main", 172_905.0),
    Specimen("twap", "BTC-USDT", "BUY", "terminated", "COMPLETED",
             "0.0900", "0.0900", "63988.8", "64410.2", "main", 273_600.0),
)  # fmt: skip


def fake_id(number: int) -> str:
    """Return an id with the looks of a real one: base58 of a SHA-256."""
    return base58.b58encode(hashlib.sha256(f"specimen-{number}".encode()).digest()).decode()


def make_rows(count: int) -> Iterator[ExecutorRow]:
    """Yield *count* rows: the specimens first, then variations of them."""
    for number in range(count):
        yield make_row(number)


def make_row(number: int, *, drift: int = 0) -> ExecutorRow:
    """Return row *number*; *drift* moves the mark of an open one by that many steps."""
    lap, index = divmod(number, len(SPECIMENS))
    specimen = SPECIMENS[index]
    step = PRICE_STEP[specimen.pair]
    shift = step * ((lap * 37 + index * 11) % 401 - 200) * (1 if lap else 0)
    entry = None if specimen.entry is None else Decimal(specimen.entry) + shift
    quote = (BID if specimen.side == "BUY" else ASK)[specimen.pair]
    mark = quote + step * drift if specimen.exit is None else Decimal(specimen.exit) + shift
    filled, amount = Decimal(specimen.filled), Decimal(specimen.amount)
    pnl, pnl_pct, fees, volume = _pnl(specimen, filled, entry, mark)
    age_s = specimen.age_s + lap * 61.0
    done = specimen.lifecycle in {"failed", "terminated"}
    created_ns = NOW_NS - int(age_s * SECOND_NS)
    return ExecutorRow(
        id=fake_id(number),
        type=specimen.type,
        controller_id=specimen.controller,
        connector_name=CONNECTOR,
        trading_pair=specimen.pair,
        side=specimen.side,
        lifecycle=specimen.lifecycle,
        close_type=specimen.close_type,
        amount=amount,
        filled_amount=filled,
        entry_price=entry,
        mark_price=mark,
        net_pnl_quote=pnl,
        net_pnl_pct=pnl_pct,
        fees_quote=fees,
        volume_quote=volume,
        created_ns=created_ns,
        closed_ns=created_ns + int(age_s * SECOND_NS / 3) if done else None,
        age_s=age_s,
        trend=_trend(number, pnl),
        retries=specimen.retries,
        last_error=specimen.error,
        stale_price=False,
    )


def _pnl(
    specimen: Specimen, filled: Decimal, entry: Decimal | None, mark: Decimal
) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return net PnL, its fraction of the entry notional, fees and volume."""
    if not filled or entry is None:
        return Decimal("0.0000"), Decimal("0.000000"), Decimal("0.0000"), Decimal("0.00")
    notional, left = filled * entry, filled * mark
    volume = notional + (left if specimen.exit is not None else 0)
    fees = volume * FEE
    sign = 1 if specimen.side == "BUY" else -1
    pnl = sign * (left - notional) - fees
    return (
        pnl.quantize(Decimal("0.0001")),
        (pnl / notional).quantize(Decimal("0.000001")),
        fees.quantize(Decimal("0.0001")),
        volume.quantize(Decimal("0.01")),
    )


def _trend(number: int, pnl: Decimal) -> tuple[float, ...]:
    """Return twelve samples that end at *pnl*, with a wiggle of their own."""
    end = float(pnl)
    if not pnl:
        return ()
    wiggle = [((number * 7 + i * i * 5) % 11 - 5) / 20 for i in range(12)]
    return (*(round(end * (i + 1) / 12 + abs(end) * wiggle[i], 4) for i in range(11)), end)
