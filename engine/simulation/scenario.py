"""The file of a scenario: instruments, fees, balances, executors and timed steps."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.executors.orchestrator_section import OrchestratorSection, Seconds
from engine.executors.settings import ExecutorSettings
from engine.executors.validation import DirectionalSide, PositiveDecimal, by_name
from engine.model.clock import SECOND_NS, from_iso
from engine.model.durations import parse_duration_ns
from engine.model.orders import PositionMode


def _duration(value: object) -> object:
    return parse_duration_ns(str(value)) if isinstance(value, str | int | Decimal) else value


def _instant(value: object) -> object:
    """Read an ISO 8601 stamp, or seconds since the epoch, as executors have their timestamps."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return int(value * SECOND_NS)
    return from_iso(value) if isinstance(value, str) else value


OffsetNs: TypeAlias = Annotated[int, BeforeValidator(_duration), Field(ge=0)]
"""Time since the start: ``90s``, ``1.5`` (seconds), in nanoseconds."""

OrderReference: TypeAlias = int | str
"""Number of an order in the sequence of placement, from 0; or a role: its newest open order."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstrumentSection(_Section):
    """One market of the scenario."""

    connector_name: str = "sim_perpetual"
    trading_pair: str
    kind: Literal["perpetual", "spot"] = "perpetual"
    tick: Decimal = Field(gt=0)
    lot: Decimal = Field(gt=0)
    min_amount: Decimal = Field(default=Decimal(0), ge=0)
    min_notional: Decimal = Field(default=Decimal(0), ge=0)
    gas: Decimal = Field(default=Decimal(0), ge=0, description="network fee of an order")
    gas_token: str = Field(default="", description="asset of the network fee")

    @model_validator(mode="after")
    def _gas_has_a_token(self) -> InstrumentSection:
        if bool(self.gas) != bool(self.gas_token):
            raise ValueError(
                f"gas and gas_token belong together, got {self.gas} and {self.gas_token!r}"
            )
        return self


class FeesSection(_Section):
    """Fees as fractions of the notional, charged in quote."""

    maker: Decimal = Field(default=Decimal(0), gt=-1, lt=1, description="a rebate is negative")
    taker: Decimal = Field(default=Decimal(0), gt=-1, lt=1)


class QuoteStep(_Section):
    """Best prices of a market; ``market`` may be left out when there is one."""

    bid: Decimal = Field(gt=0)
    ask: Decimal = Field(gt=0)
    market: str | None = Field(default=None, description="connector:BASE-QUOTE")

    @model_validator(mode="after")
    def _is_not_crossed(self) -> QuoteStep:
        _check_quote(self.bid, self.ask)
        return self


def _check_quote(bid: Decimal, ask: Decimal) -> None:
    if bid > ask:
        raise ValueError(f"bid must not be above ask, got {bid} and {ask}")


class FillStep(_Section):
    """A fill of an order by the venue; amount and price default to the rest and its price."""

    order: OrderReference
    amount: Decimal | None = Field(default=None, gt=0)
    price: Decimal | None = Field(default=None, gt=0)
    fee: Decimal | None = Field(default=None, description="in quote; default by the schedule")
    fee_token: str = Field(default="", description="asset of the fee, if it is another one")
    fee_base: Decimal = Field(
        default=Decimal(0),
        ge=0,
        description="part taken in base; the fee is at least what it is worth",
    )
    repeat: bool = Field(default=False, description="send the same fill a second time")

    @model_validator(mode="after")
    def _token_has_a_fee(self) -> FillStep:
        if self.fee_token and self.fee is None:
            raise ValueError(f"fee is required with fee_token, got None and {self.fee_token!r}")
        return self


class OrderStep(_Section):
    """Something that the venue does to an order."""

    order: OrderReference
    reason: str = "scripted"


class FundingStep(_Section):
    """A funding payment: longs pay a positive rate of the notional."""

    rate: Decimal = Field(description="fraction of the notional")
    market: str | None = Field(default=None, description="connector:BASE-QUOTE")


class ActionStep(_Section):
    """What the operator asks for; ``executor`` is a number in the order of creation, or an id."""

    verb: Literal["create", "stop", "update", "store"]
    executor: int | str | None = None
    controller_id: str | None = Field(
        default=None, description="who asks; the executor's own controller if empty"
    )
    keep_position: bool | None = None
    changes: Mapping[str, Any] = Field(default_factory=dict)
    config: Mapping[str, Any] = Field(default_factory=dict)


class InitialPositionSection(_Section):
    """A position that a controller has before the scenario begins."""

    controller_id: str = "main"
    connector_name: str = "sim_perpetual"
    trading_pair: str
    amount: Decimal = Field(gt=0, description="in base")
    side: DirectionalSide


class Step(_Section):
    """What happens at one instant, in the order of the fields.

    The executors of the scenario are created after the quotes of its first step.
    """

    at: OffsetNs = Field(description="time since the start")
    reject_next: int = Field(default=0, ge=0, description="orders that the venue will reject")
    fail_cancels: int = Field(default=0, ge=0, description="cancels that the venue will refuse")
    quotes: tuple[QuoteStep, ...] = ()
    bid: Decimal | None = Field(default=None, gt=0, description="short for one quote")
    ask: Decimal | None = Field(default=None, gt=0)
    fills: tuple[FillStep, ...] = ()
    rejects: tuple[OrderStep, ...] = ()
    cancels: tuple[OrderStep, ...] = Field(default=(), description="cancelled by the venue")
    lost: tuple[OrderReference, ...] = Field(
        default=(), description="orders that the venue forgets: it answers nothing about them"
    )
    funding: tuple[FundingStep, ...] = ()
    actions: tuple[ActionStep, ...] = ()

    @model_validator(mode="after")
    def _bid_with_ask(self) -> Step:
        if (self.bid is None) != (self.ask is None):
            raise ValueError("bid and ask belong together")
        if self.bid is not None and self.ask is not None:
            _check_quote(self.bid, self.ask)
        return self


class Scenario(_Section):
    """A whole scenario."""

    version: Literal[1] = 1
    start: Annotated[int, BeforeValidator(_instant), Field(ge=0)] = from_iso("2026-01-01T00:00:00Z")
    seed: int = Field(default=1, ge=0)
    instrument: InstrumentSection | None = None
    instruments: tuple[InstrumentSection, ...] = ()
    fees: FeesSection = FeesSection()
    balances: Mapping[str, Decimal] = Field(default_factory=dict, description="by asset")
    rates: Mapping[str, Decimal] = Field(
        default_factory=dict, description="SOURCE-TARGET: how many of the target one source is"
    )
    matching: Literal["quotes", "scripted"] = Field(
        default="quotes", description="orders fill by the quotes, or only by fill steps"
    )
    max_retries: int | None = Field(default=None, ge=0)
    update_interval: Decimal = Field(default=Decimal(1), gt=0)
    shutdown_poll_s: PositiveDecimal = Decimal(5)
    retry_backoff_base_s: Seconds = Decimal(1)
    retry_backoff_max_s: Seconds = Decimal(30)
    position_mode: Annotated[PositionMode, by_name(PositionMode)] = PositionMode.ONEWAY
    total_amount_quote: Mapping[str, Decimal] = Field(
        default_factory=dict, description="capital by controller"
    )
    initial_positions: tuple[InitialPositionSection, ...] = ()
    executor: Mapping[str, Any] | None = None
    executors: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def all_instruments(self) -> tuple[InstrumentSection, ...]:
        """Return the instruments, however they are written."""
        return (*((self.instrument,) if self.instrument else ()), *self.instruments)

    @property
    def all_executors(self) -> tuple[Mapping[str, Any], ...]:
        """Return the executor configurations, however they are written."""
        return (*((self.executor,) if self.executor else ()), *self.executors)

    @property
    def settings(self) -> ExecutorSettings:
        """Return the waiting times of the executors."""
        return OrchestratorSection(
            shutdown_poll_s=self.shutdown_poll_s,
            retry_backoff_base_s=self.retry_backoff_base_s,
            retry_backoff_max_s=self.retry_backoff_max_s,
        ).settings()

    @property
    def fixed_rates(self) -> dict[tuple[str, str], Decimal]:
        """Return the rates by source and target."""
        pairs = ((pair.partition("-"), rate) for pair, rate in self.rates.items())
        return {(source, target): rate for (source, _, target), rate in pairs}

    @model_validator(mode="after")
    def _rates_are_pairs(self) -> Scenario:
        for pair, rate in self.rates.items():
            source, _, target = pair.partition("-")
            if not source or not target or rate <= 0:
                raise ValueError(
                    f"rates must be SOURCE-TARGET and a number above 0, got {pair!r}: {rate}"
                )
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> Scenario:
        if not self.all_instruments:
            raise ValueError("needs an instrument (or a list of instruments)")
        times = [step.at for step in self.steps]
        if times != sorted(times):
            raise ValueError("steps must be in the order of their time")
        return self
