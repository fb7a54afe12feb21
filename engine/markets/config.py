"""Markets and venues in a configuration, and the sources that they describe."""

from __future__ import annotations

import pathlib
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.executors.validation import PositionModeName
from engine.flow.errors import ConfigurationError
from engine.markets.bar_table import BarTable
from engine.markets.funding import FundingConfig
from engine.markets.replay import ReplayConfig, ReplaySource
from engine.markets.source import MarketSource
from engine.markets.synthetic import SyntheticConfig, SyntheticSource
from engine.model.instruments import (
    PPB,
    ConnectorPair,
    Instrument,
    NonIntegralScaleError,
    OffGridError,
    Settlement,
)
from engine.model.orders import PositionMode

_FINEST: Final = Decimal("1e-12")
_COARSEST: Final = Decimal("1e9")
_LEAST_TICKS: Final = 10
"""A price of fewer ticks leaves no room for a spread."""

SourceConfig: TypeAlias = Annotated[SyntheticConfig | ReplayConfig, Field(discriminator="kind")]
"""Where the quotes of a market come from."""


class MarketConfigError(ConfigurationError):
    """A market in the configuration cannot be built.

    ``path`` leads from the market's section to the field, ``text`` says what is wrong and what is
    allowed; the message is both.
    """

    def __init__(
        self, path: tuple[str, ...], text: str, *, cause: BaseException | None = None
    ) -> None:
        super().__init__(f"{'.'.join(path)}: {text}", cause=cause)
        self.path = path
        self.text = text


class VenueConfig(BaseModel):
    """A paper venue and its fees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="paper_perpetual",
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="name of the venue's connector: small letters, digits and underscores",
    )
    kind: Literal["perpetual", "spot"] = Field(
        default="perpetual", description="positions with leverage, or exchange of assets"
    )
    maker_fee: Decimal = Field(
        default=Decimal("0.0002"),
        ge=Decimal("-0.01"),
        le=Decimal("0.1"),
        description="fee of resting orders as a fraction of the notional, 0.0002 = 2 bps",
    )
    taker_fee: Decimal = Field(
        default=Decimal("0.0005"),
        ge=Decimal("-0.01"),
        le=Decimal("0.1"),
        description="fee of marketable orders as a fraction of the notional, 0.0005 = 5 bps",
    )
    position_mode: PositionModeName = Field(
        default=PositionMode.ONEWAY,
        description="perpetuals: ONEWAY nets opposite positions of one market, HEDGE keeps a long "
        "and a short one side by side",
    )

    @field_validator("maker_fee", "taker_fee")
    @classmethod
    def _fee_is_in_ppb(cls, value: Decimal) -> Decimal:
        if value * PPB % 1:
            raise ValueError("must have at most nine decimals")
        return value

    @property
    def is_hedged(self) -> bool:
        """Whether a long and a short position of one market exist side by side."""
        return self.position_mode is PositionMode.HEDGE

    @model_validator(mode="after")
    def _only_perpetuals_hedge(self) -> VenueConfig:
        if self.is_hedged and self.kind == "spot":
            raise ValueError(
                f"position_mode HEDGE is for perpetual venues, {self.name} is a spot venue: it "
                "holds assets; allowed: ONEWAY"
            )
        return self


class MarketConfig(BaseModel):
    """A market of the session: its pair, its grids and where its quotes come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: str = Field(default="paper_perpetual", description="name of the venue that trades it")
    pair: str = Field(description="trading pair BASE-QUOTE, such as BTC-USDT")
    tick: Decimal | None = Field(
        default=None,
        ge=_FINEST,
        le=_COARSEST,
        description="price step; inferred from the file of a replayed market if absent",
    )
    lot: Decimal = Field(ge=_FINEST, le=_COARSEST, description="step of amounts, in base")
    min_amount: Decimal = Field(default=Decimal(0), ge=0, description="least order, in base")
    min_notional: Decimal = Field(default=Decimal(0), ge=0, description="least order, in quote")
    source: SourceConfig = Field(description="where the quotes come from: synthetic or replay")
    funding: FundingConfig | None = Field(
        default=None, description="funding of a perpetual; none without it"
    )

    @field_validator("pair")
    @classmethod
    def _pair_has_base_and_quote(cls, value: str) -> str:
        base, dash, quote = value.partition("-")
        parts_are_words = all(part.isascii() and part.isalnum() for part in (base, quote))
        if not dash or not parts_are_words or value != value.upper():
            raise ValueError("must be BASE-QUOTE in capital letters, such as BTC-USDT")
        return value


def build_source(
    config: MarketConfig, venue: VenueConfig, *, base_dir: pathlib.Path, seed: int
) -> MarketSource:
    """Return the market that *config* describes on *venue*.

    Reads the data file of a replayed market.

    Args:
        config: the market's section.
        venue: the section of its venue.
        base_dir: folder that relative data paths start from: the configuration's.
        seed: the session's seed, for a synthetic market without its own.

    Raises:
        MarketConfigError: a field cannot be used.
        MarketDataError: the data file cannot be used.
    """
    source = config.source
    match source:
        case SyntheticConfig():
            if config.tick is None:
                raise _error(("tick",), "is missing, a synthetic market needs its price step")
            if source.start_price < _LEAST_TICKS * config.tick:
                text = f"{source.start_price} is below {_LEAST_TICKS} ticks of {config.tick}"
                raise _error(("source", "start_price"), f"{text}, use a finer tick")
            own_seed = seed if source.seed is None else source.seed
            instrument = _instrument(config, venue, config.tick)
            return SyntheticSource(instrument=instrument, config=source, seed=own_seed)
        case ReplayConfig():
            bars = _bars(config, source, base_dir)
            instrument = _instrument(config, venue, bars.tick)
            return ReplaySource(instrument=instrument, bars=bars, config=source)


def _bars(config: MarketConfig, source: ReplayConfig, base_dir: pathlib.Path) -> BarTable:
    path = base_dir / source.path
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        text = f"{source.path!r} {what} (looked at {path}), name a file of bars"
        raise _error(("source", "path"), text)
    # Reading files takes libraries that a synthetic market must not wait for.
    from engine.markets.bar_file import BarFileOptions, load_bars

    options = BarFileOptions(
        bar=source.bar_duration,
        timestamp_is=source.timestamp_is,
        timezone=source.timezone,
        epoch_unit=source.epoch_unit,
        tick=config.tick,
        lot=config.lot,
    )
    try:
        return load_bars(path, options)
    except ValueError as error:
        raise _error(("source", "timezone"), str(error), error) from error


def _instrument(config: MarketConfig, venue: VenueConfig, tick: Decimal) -> Instrument:
    is_spot = venue.kind == "spot"
    try:
        return Instrument(
            ConnectorPair(venue.name, config.pair),
            tick,
            config.lot,
            min_qty=config.min_amount,
            min_notional=config.min_notional,
            settlement=Settlement.SPOT if is_spot else Settlement.DERIVATIVE,
            shortable=not is_spot,
            is_hedged=venue.is_hedged,
            maker_ppb=int(venue.maker_fee * PPB),
            taker_ppb=int(venue.taker_fee * PPB),
        )
    except (NonIntegralScaleError, OffGridError) as error:
        text = f"{config.lot} does not fit the tick {tick}: tick x lot must be a multiple of 1e-8"
        raise _error(("lot",), text, error) from error


def _error(
    path: tuple[str, ...], text: str, cause: BaseException | None = None
) -> MarketConfigError:
    return MarketConfigError(path, text, cause=cause)
