"""How a file of bars is to be read, and the instrument that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from engine.markets.data_report import Policy
from engine.markets.stamps import BarDuration, EpochUnit
from engine.model.calendar import SessionCalendar
from engine.model.instruments import ConnectorPair, Instrument, Settlement

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "timestamp": ("timestamp", "date", "time", "datetime"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "vwap": ("vwap",),
    "trades": ("trades",),
    "spread": ("spread",),
}
"""Names of the columns in a header, whatever their case."""
REQUIRED: Final = ("timestamp", "open", "high", "low", "close")
ADJUSTED: Final = ("adjusted_close", "adj_close", "adj close", "adjclose", "adjusted close")
"""Names of a close that is adjusted for splits and dividends: a feature, never a price (DATA-7)."""


@dataclass(frozen=True, slots=True)
class BarFileOptions:
    """How to read a file of bars.

    ``bar`` is the length of a bar; only files of plain dates can do without. Without ``tick`` the
    tick is inferred (UNIT-3). ``lot`` is the step of volumes. ``policies`` changes what checks do,
    by their code; ``jump_limit`` is the fraction of V10. ``allow_nonpositive`` keeps prices at or
    below zero (V4). ``fill_gaps`` ``flat`` inserts synthetic bars (DATA-8). ``price_adjust``
    ``ratio`` scales prices by the adjusted close (DATA-7). ``calendar`` knows the sessions;
    without one a session is a day in UTC.
    """

    bar: BarDuration | None = None
    timestamp_is: Literal["open", "close"] = "open"
    timezone: str | None = None
    epoch_unit: EpochUnit | None = None
    tick: Decimal | None = None
    lot: Decimal = Decimal(1)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    jump_limit: Decimal = Decimal("0.5")
    allow_nonpositive: bool = False
    fill_gaps: Literal["none", "flat"] = "none"
    price_adjust: Literal["ratio"] | None = None
    calendar: SessionCalendar | None = None


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """An instrument before its tick is known (UNIT-1); the tick may come from the file."""

    symbol: str
    tick: Decimal | None = None
    lot: Decimal = Decimal(1)
    multiplier: Decimal = Decimal(1)
    min_qty: Decimal = Decimal(0)
    max_qty: Decimal = Decimal("1e56")
    min_notional: Decimal = Decimal(0)
    settlement: Settlement = Settlement.SPOT
    shortable: bool = True
    money_precision: int = 8
    venue: str = "backtest"

    def instrument(self, tick: Decimal) -> Instrument:
        """Return the instrument with *tick* as its price step.

        Raises:
            NonIntegralScaleError: one tick times one lot is no whole number of atoms (UNIT-4).
        """
        return Instrument(
            ConnectorPair(self.venue, self.symbol),
            tick,
            self.lot,
            min_qty=self.min_qty,
            max_qty=self.max_qty,
            min_notional=self.min_notional,
            multiplier=self.multiplier,
            settlement=self.settlement,
            shortable=self.shortable,
            money_precision=self.money_precision,
        )
