"""Recorded bars, replayed as the quotes of a paper market."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.markets.bar_table import BarTable
from engine.markets.stamps import BarDuration, parse_bar_duration
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick

_DEFAULT_SPREAD_BPS: Final = Decimal(1)
_BPS: Final = 10_000


class ReplayConfig(BaseModel):
    """A market that replays a file of bars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["replay"] = "replay"
    path: str = Field(
        min_length=1, description="CSV file of bars; relative to the configuration's folder"
    )
    bar: str | None = Field(
        default=None, description="length of a bar, such as 1h or 1d; needless for plain dates"
    )
    timestamp_is: Literal["open", "close"] = Field(
        default="open", description="whether a stamp is the start or the end of its bar"
    )
    timezone: str | None = Field(
        default=None, description="time zone of stamps without offset, such as Europe/Berlin"
    )
    epoch_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="unit of stamps that are whole numbers"
    )
    speed: Decimal = Field(
        default=Decimal(3600),
        gt=0,
        le=Decimal("1e9"),
        description="seconds of the file that pass in one second of the session",
    )
    spread_ticks: int | None = Field(
        default=None, ge=1, le=1_000_000, description="spread in price ticks"
    )
    spread_bps: Decimal | None = Field(
        default=None,
        gt=0,
        le=Decimal(1000),
        description="spread in hundredths of a percent of the price; 1 when none is set",
    )
    depth_quote: Decimal = Field(
        default=Decimal(1_000_000),
        gt=0,
        le=Decimal("1e12"),
        description="value of the size shown on each side, in quote",
    )
    skip_gaps: bool = Field(
        default=True, description="pass over weekends and other gaps of the file"
    )
    repeat: bool = Field(default=False, description="start again at the end of the file")

    @field_validator("bar")
    @classmethod
    def _bar_is_a_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_bar_duration(value)
        return value

    @model_validator(mode="after")
    def _one_spread(self) -> Self:
        if self.spread_ticks is not None and self.spread_bps is not None:
            raise ValueError("spread_ticks and spread_bps are both set, keep one of them")
        return self

    @property
    def bar_duration(self) -> BarDuration | None:
        """Return the length of a bar, None when it is not declared."""
        return None if self.bar is None else parse_bar_duration(self.bar)


class ReplaySource:
    """A paper market that walks the path of each bar: open, nearer extreme, other extreme, close.

    The points lie at 0, 1/3 and 2/3 of the bar and just before its end. The quotes end with the
    file unless the configuration says `repeat`.
    """

    def __init__(self, *, instrument: Instrument, bars: BarTable, config: ReplayConfig) -> None:
        self.market: ConnectorPair = instrument.market
        self.instrument = instrument
        self._bars = bars
        self._config = config
        self._speed = config.speed.as_integer_ratio()
        spread_bps = config.spread_bps or _DEFAULT_SPREAD_BPS
        self._spread_ratio = (spread_bps / _BPS).as_integer_ratio()
        step = instrument.tick * instrument.lot * instrument.multiplier
        self._depth_steps = int(config.depth_quote / step)

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes of a session that starts at *start_ns*, the first one then."""
        numerator, denominator = self._speed
        last_ns = start_ns - 1
        for elapsed_ns, source_ns, price in self._points():
            last_ns = max(last_ns + 1, start_ns + elapsed_ns * denominator // numerator)
            yield self._quote(last_ns, source_ns, price)

    def _points(self) -> Iterator[tuple[int, int, int]]:
        """Return (source time since the start, stamp in the source, price) of all path points."""
        bars = self._bars
        elapsed_ns = 0
        while True:
            for index in range(len(bars)):
                opens_ns, closes_ns = bars.ts_open_ns[index], bars.ts_close_ns[index]
                length_ns = closes_ns - opens_ns
                offsets = (0, length_ns // 3, 2 * length_ns // 3, length_ns - 1)
                for offset_ns, price in zip(offsets, self._path(index), strict=True):
                    yield elapsed_ns + offset_ns, opens_ns + offset_ns, price
                elapsed_ns += length_ns + self._gap_after(index)
            if not self._config.repeat:
                return

    def _path(self, index: int) -> tuple[int, int, int, int]:
        """Return the adaptive path: the nearer extreme first, the low first in a tie."""
        bars = self._bars
        start, high, low = bars.open_ticks[index], bars.high_ticks[index], bars.low_ticks[index]
        is_high_first = high - start < start - low
        first, second = (high, low) if is_high_first else (low, high)
        return start, first, second, bars.close_ticks[index]

    def _gap_after(self, index: int) -> int:
        if self._config.skip_gaps or index + 1 == len(self._bars):
            return 0
        return self._bars.ts_open_ns[index + 1] - self._bars.ts_close_ns[index]

    def _quote(self, ts_ns: int, source_ns: int, price: int) -> QuoteTick:
        spread = self._config.spread_ticks
        if spread is None:
            numerator, denominator = self._spread_ratio
            spread = max(1, -(-price * numerator // denominator))
        bid = max(1, price - spread // 2)
        ask = bid + spread
        steps = self._depth_steps
        return QuoteTick(
            self.market,
            ts_ns,
            bid,
            ask,
            max(1, steps // bid),
            max(1, steps // ask),
            source_ns,
        )
