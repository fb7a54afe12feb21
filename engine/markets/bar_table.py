"""Bars as columns of integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.markets.data_report import DataReport
from engine.model.instruments import ConnectorPair
from engine.model.quotes import Bar


@dataclass(frozen=True, slots=True)
class BarTable:
    """Bars of one market in the order of time, as columns of equal length.

    Prices are in ticks of ``tick``, volumes in lots (-1 unknown). A synthetic bar stands for one
    without prices (V1). ``features`` are further numeric columns as float64; NaN where blank.
    """

    tick: Decimal
    ts_open_ns: tuple[int, ...]
    ts_close_ns: tuple[int, ...]
    open_ticks: tuple[int, ...]
    high_ticks: tuple[int, ...]
    low_ticks: tuple[int, ...]
    close_ticks: tuple[int, ...]
    volume_lots: tuple[int, ...]
    is_synthetic: tuple[bool, ...]
    features: Mapping[str, tuple[float, ...]]
    report: DataReport

    def __len__(self) -> int:
        return len(self.ts_open_ns)

    def bars(self, market: ConnectorPair) -> Iterator[Bar]:
        """Return the bars as those of *market*."""
        columns = (
            self.ts_open_ns,
            self.ts_close_ns,
            self.open_ticks,
            self.high_ticks,
            self.low_ticks,
            self.close_ticks,
            self.volume_lots,
        )
        return (Bar(market, *values) for values in zip(*columns, strict=True))
