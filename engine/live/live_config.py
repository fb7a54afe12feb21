"""Configuration of a live strategy: section ``live_trading`` of a document."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.execution.settings import BrokerSettings
from engine.live.circuit_breaker import (
    BreakerSettings,
    GuardSettings,
)
from engine.markets.config import MarketConfig, VenueConfig
from engine.model.clock import from_iso
from engine.model.durations import parse_duration_ns
from engine.risk.limits import RiskSettings

LIVE: Final = "LIVE_TRADING"
PAPER: Final = "PAPER_TRADING"


ErrorHandling: TypeAlias = Literal["graceful", "strict", "halt"]
_STRICTNESS: Final[tuple[ErrorHandling, ...]] = ("graceful", "strict", "halt")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _duration(value: object) -> object:
    return parse_duration_ns(str(value)) if isinstance(value, str | int | Decimal) else value


def _instant(value: object) -> object:
    return from_iso(value) if isinstance(value, str) and value != "now" else value


_DurationNs: TypeAlias = Annotated[int, BeforeValidator(_duration), Field(gt=0)]


_GUARDED: Final = ("max_orders_per_minute", "max_drawdown", "max_daily_loss")
"""Limits of sessions that are guards of a live strategy: they halt it (LIVE-11)."""


class LiveStrategySection(_Section):
    """What decides."""

    kind: str = Field(
        alias="class",
        description="name of a strategy, or package.module.Class (allow_imports)",
    )
    id: str = Field(default="", max_length=40, description="its name beside other strategies")
    market: str | None = Field(
        default=None, description="what it trades instead of live_trading.market"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="its parameters")
    error_handling: ErrorHandling = Field(
        default="graceful", description="what an error of the strategy does"
    )


class LivePortfolioSection(_Section):
    """Its share of the account."""

    kind: Literal["VirtualPortfolio"] = Field(
        default="VirtualPortfolio", alias="class", description="class of the portfolio"
    )
    allocated_capital: Decimal = Field(default=Decimal(100_000), gt=0, description="its capital")
    reconciliation_interval: int = Field(
        default=300, ge=1, description="seconds between two comparisons with the venue"
    )


class LiveRiskSection(RiskSettings):
    """Limits and guards of one live strategy: those of every session, and what halts it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    max_orders_per_minute: int | None = Field(
        default=60, ge=1, description="orders in 60 s, more halt it"
    )
    max_drawdown: Decimal | None = Field(
        default=None, gt=0, le=1, description="fall of equity from its peak that halts it"
    )
    max_daily_loss: Decimal | None = Field(
        default=None, gt=0, le=1, description="fall of equity since the day's start that halts it"
    )
    max_reject_rate: Decimal | None = Field(
        default=Decimal("0.5"), gt=0, le=1, description="share of the last 20 orders, more halt it"
    )
    price_band: Decimal | None = Field(
        default=Decimal("0.05"),
        gt=0,
        description="how far through the last price an order may be, a fraction; farther halts it",
    )
    max_slippage_bps: Decimal | None = Field(
        default=None, gt=0, description="mean of 20 fills against the shadow, more halts it"
    )

    def limits(self) -> RiskSettings:
        """Return what the risk manager refuses or clamps; what halts is no business of its."""
        return RiskSettings.model_validate(
            {
                name: getattr(self, name)
                for name in RiskSettings.model_fields
                if name not in _GUARDED
            }
        )

    def guards(self) -> GuardSettings:
        """Return what halts the strategy until a person resumes it."""
        return GuardSettings(
            max_drawdown=self.max_drawdown,
            max_daily_loss=self.max_daily_loss,
            max_orders_per_minute=self.max_orders_per_minute,
            max_reject_rate=self.max_reject_rate,
            price_band=self.price_band,
            max_slippage_bps=self.max_slippage_bps,
        )


class PaperBrokerSection(BrokerSettings):
    """The simulated broker with tick rules, of paper."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: Literal["SimulatedBroker"] = Field(
        default="SimulatedBroker", alias="class", description="class of the broker"
    )

    def settings(self) -> BrokerSettings:
        """Return what the broker is made of."""
        return BrokerSettings.model_validate(self.model_dump(exclude={"kind"}))


class LiveBrokerSection(_Section):
    """The broker that sends orders to a venue."""

    kind: Literal["LiveBroker"] = Field(alias="class", description="class of the broker")
    order_router: str = Field(
        default="order_router", description="name of the connection to the venue"
    )
    emulate: Literal[False] = Field(
        default=False, description="order types that the venue lacks are refused"
    )
    cancel_foreign: bool = Field(
        default=False, description="whether open orders that are not ours are cancelled"
    )
    ack_timeout_s: int = Field(
        default=10, ge=1, description="seconds after which an unanswered order is looked up"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_simulation(cls, data: object) -> object:
        """Refuse keys that only make sense in simulation (CFG-3)."""
        known = {*cls.model_fields, "class"}
        simulated = [
            key
            for key in (data if isinstance(data, dict) else ())
            if key in BrokerSettings.model_fields and key not in known
        ]
        if simulated:
            raise ValueError(
                f"{', '.join(simulated)} only makes sense in simulation: put it under "
                "live_trading.shadow"
            )
        return data


def _broker_class(value: object) -> object:
    """Take a section without a class as the simulated broker, so that its keys are told right."""
    if isinstance(value, dict) and "class" not in value and "kind" not in value:
        return {**value, "class": "SimulatedBroker"}
    return value


BrokerSection: TypeAlias = Annotated[
    Annotated[PaperBrokerSection | LiveBrokerSection, Field(discriminator="kind")],
    BeforeValidator(_broker_class),
]


class LiveComponents(_Section):
    """The components of a live strategy's container."""

    strategy: LiveStrategySection | None = Field(default=None, description="what decides")
    strategies: tuple[LiveStrategySection, ...] = Field(
        default=(), description="several strategies instead of one, see isolation_level"
    )
    portfolio: LivePortfolioSection = LivePortfolioSection()
    risk_manager: LiveRiskSection = LiveRiskSection()
    broker: BrokerSection = Field(
        default_factory=PaperBrokerSection, description="SimulatedBroker or LiveBroker"
    )

    @model_validator(mode="after")
    def _one_or_several(self) -> LiveComponents:
        if self.strategy is not None and self.strategies:
            raise ValueError("strategy and strategies are given: give one of them")
        if self.strategy is None and not self.strategies:
            raise ValueError("strategy is missing: name what decides")
        return self

    @property
    def all_strategies(self) -> tuple[LiveStrategySection, ...]:
        """Return the strategies, one or several."""
        return (self.strategy,) if self.strategy is not None else self.strategies

    @property
    def error_handling(self) -> ErrorHandling:
        """Return what an error of any of them does: the strictest of their wishes."""
        return max((one.error_handling for one in self.all_strategies), key=_STRICTNESS.index)


class LiveAccountSection(_Section):
    """The account whose capital strategies share."""

    equity: Decimal | None = Field(
        default=None, gt=0, description="equity of the paper account; by default what is needed"
    )
    currency: str = Field(
        default="USD", pattern=r"^[A-Z0-9]{1,12}$", description="what equity is told in"
    )
    parity: tuple[str, ...] = Field(
        default=("USDT",), description="quote assets that count 1:1 as the currency"
    )
    reserve: Decimal = Field(
        default=Decimal("0.05"), ge=0, lt=1, description="share that is never allocated"
    )
    internal_crossing: bool = Field(
        default=False, description="opposite orders of two strategies meet inside, at the mid"
    )


class MarketFeedSection(_Section):
    """Where quotes come from in paper; without markets it is a synthetic BTC-USDT."""

    speed: Literal["max"] | Annotated[Decimal, Field(gt=0, le=100_000)] = Field(
        default=Decimal(1), description="session seconds per second of wall time, or max"
    )
    start: Annotated[Literal["now"] | int, BeforeValidator(_instant)] = Field(
        default="now", description="session time at the start: now, or an ISO 8601 stamp"
    )
    end_after: _DurationNs | None = Field(
        default=None, description="session time after which it ends by itself"
    )
    venues: tuple[VenueConfig, ...] = Field(default=(VenueConfig(),), min_length=1)
    markets: tuple[MarketConfig, ...] = Field(
        default_factory=lambda: (
            MarketConfig.model_validate(
                {"pair": "BTC-USDT", "tick": "0.1", "lot": "0.0001",
                 "source": {"kind": "synthetic"}}
            ),
        ),
        min_length=1,
    )  # fmt: skip

    @model_validator(mode="after")
    def _fast_needs_an_end(self) -> MarketFeedSection:
        if self.speed == "max" and self.start == "now":
            raise ValueError("speed max runs on a simulated clock: set start to an ISO 8601 stamp")
        return self

    @model_validator(mode="after")
    def _strategies_net(self) -> MarketFeedSection:
        hedged = [venue.name for venue in self.venues if venue.is_hedged]
        if hedged:
            raise ValueError(
                f"venues: {', '.join(hedged)} has position_mode HEDGE, a strategy holds one net "
                "position; use ONEWAY"
            )
        return self


class LiveConfig(_Section):
    """The configuration of one live strategy: section ``live_trading`` of a document."""

    container_type: Literal["live"] = "live"
    mode: Literal["LIVE_TRADING", "PAPER_TRADING"] = Field(
        default=PAPER, description="LIVE_TRADING: orders go to a venue; PAPER_TRADING: none does"
    )
    isolation_level: Literal["full", "portfolio"] = Field(
        default="full",
        description="full: every strategy has a broker, a portfolio, a bus of its own; portfolio: "
        "those of a file share them, as one account",
    )
    monitoring_enabled: bool = Field(default=True, description="whether health is checked")
    health_check_interval: int = Field(default=60, ge=1, description="seconds")
    circuit_breaker: BreakerSettings | None = Field(
        default=None, description="without one a warning is given and the defaults are used"
    )
    market: str | None = Field(
        default=None, description="what the strategy trades: BASE-QUOTE or venue:BASE-QUOTE"
    )
    seed: int = Field(default=42, ge=0, description="seed of everything random")
    bar_s: int = Field(default=60, ge=1, description="length of the bars that it sees, seconds")
    allow_imports: tuple[str, ...] = Field(
        default=(), description="packages that strategies may be imported from"
    )
    account: LiveAccountSection = LiveAccountSection()
    market_data_feed: MarketFeedSection = Field(default_factory=MarketFeedSection)
    shadow: BrokerSettings = Field(
        default=BrokerSettings(), description="what the prediction of each fill assumes"
    )
    components: LiveComponents

    @property
    def is_live(self) -> bool:
        """Whether its orders go to a venue."""
        return self.mode == LIVE

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a person should think about before this trades."""
        found = []
        if self.circuit_breaker is None:
            found.append(
                f"no circuit_breaker is configured for {self.mode}: the defaults are used "
                "(failure_threshold 5, window_s 60, open_s 30)"
            )
        if not self.monitoring_enabled:
            found.append("monitoring_enabled is false: nobody checks the health")
        return tuple(found)

    def containers(self) -> tuple[tuple[str, LiveConfig], ...]:
        """Return (name, configuration) of each container that the strategies need.

        With isolation full each strategy has one, named after its id or class; the name is empty
        where there is one container.
        """
        several = self.components.strategies
        if self.isolation_level == "portfolio" or len(several) < 2:
            return (("", self),)
        return tuple(
            (
                one.id or one.kind.rpartition(".")[2],
                self.model_copy(
                    update={
                        "components": self.components.model_copy(
                            update={"strategy": one, "strategies": ()}
                        )
                    }
                ),
            )
            for one in several
        )

    @model_validator(mode="after")
    def _broker_fits_mode(self) -> LiveConfig:
        found = self.components.broker.kind
        wanted = "LiveBroker" if self.is_live else "SimulatedBroker"
        if found != wanted:
            raise ValueError(f"mode {self.mode} needs the broker class {wanted}, not {found}")
        return self


class LiveDocument(_Section):
    """A whole file."""

    version: Literal[1] = 1
    live_trading: LiveConfig
    profiles: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="overlays by name, chosen with --profile"
    )
