"""Barriers of a position: configuration and the simple trailing stop."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, NamedTuple, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.executors.form_hints import DURATION, HIDDEN, PERCENT
from engine.executors.validation import (
    BarrierSeconds,
    OptionalDecimal,
    OrderTypeName,
    PositiveDecimal,
    positive,
    read_decimal,
)
from engine.model.orders import OrderType


def _market_only(order_type: OrderType) -> OrderType:
    if order_type is not OrderType.MARKET:
        raise ValueError(f"must be MARKET, got {order_type.name}")
    return order_type


MarketOnly = Annotated[OrderTypeName, AfterValidator(_market_only)]
"""An order type that must be MARKET."""


class TrailingStop(BaseModel):
    """Simple trailing stop. Both values are fractions of the entry notional, net of fees.

    ``activation_price`` is a net PnL in spite of its name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activation_price: PositiveDecimal = Field(
        title="Activation", description="net gain that arms it", json_schema_extra=PERCENT
    )
    trailing_delta: PositiveDecimal = Field(
        title="Distance", description="how far it trails the best gain", json_schema_extra=PERCENT
    )

    @classmethod
    def from_text(cls, text: str) -> TrailingStop | None:
        """Read ``activation,delta``; empty text means none.

        Raises:
            ValueError: *text* has another form.
        """
        if not text.strip():
            return None
        activation, separator, delta = text.partition(",")
        if not separator:
            raise ValueError(f"must be activation,delta (for example 0.02,0.005), got {text!r}")
        return cls(activation_price=read_decimal(activation), trailing_delta=read_decimal(delta))


def _trailing_stop(value: object) -> object:
    return TrailingStop.from_text(value) if isinstance(value, str) else value


OptionalTrailingStop = Annotated[TrailingStop | None, BeforeValidator(_trailing_stop)]
"""A trailing stop, its text form ``activation,delta``, or None."""


class TripleBarrierConfig(BaseModel):
    """Stop loss, take profit, time limit and trailing stop; None disables a barrier.

    ``stop_loss`` and ``take_profit`` are fractions of the entry notional, net of fees.
    ``time_limit`` is in seconds from the executor's timestamp; 0 is read as None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop_loss: OptionalDecimal = Field(
        default=None, description="net loss at which it closes", json_schema_extra=PERCENT
    )
    take_profit: OptionalDecimal = Field(
        default=None, description="net gain at which it closes", json_schema_extra=PERCENT
    )
    time_limit: BarrierSeconds = Field(
        default=None, description="time after which it closes", json_schema_extra=DURATION
    )
    trailing_stop: OptionalTrailingStop = None
    open_order_type: OrderTypeName = Field(default=OrderType.LIMIT, title="Entry order")
    take_profit_order_type: OrderTypeName = Field(
        default=OrderType.MARKET,
        title="Take profit order",
        description="MARKET is watched, LIMIT rests in the book",
    )
    stop_loss_order_type: MarketOnly = Field(default=OrderType.MARKET, json_schema_extra=HIDDEN)
    time_limit_order_type: MarketOnly = Field(default=OrderType.MARKET, json_schema_extra=HIDDEN)

    def adjusted(self, volatility_factor: Decimal) -> TripleBarrierConfig:
        """Return a copy with all PnL distances multiplied by *volatility_factor*.

        Raises:
            ValueError: the factor is not a finite number above zero.
        """
        factor = positive(read_decimal(volatility_factor))
        trailing = self.trailing_stop
        return self.model_copy(
            update={
                "stop_loss": None if self.stop_loss is None else self.stop_loss * factor,
                "take_profit": None if self.take_profit is None else self.take_profit * factor,
                "trailing_stop": None
                if trailing is None
                else TrailingStop(
                    activation_price=trailing.activation_price * factor,
                    trailing_delta=trailing.trailing_delta * factor,
                ),
            }
        )


class NetSource(Protocol):
    """Something that knows the net PnL at a mark."""

    def net_pnl_pct(self, mark: int, /) -> Fraction:
        """Return the net PnL fraction at *mark*."""
        ...


class TrailingTrigger(NamedTuple):
    """The net PnL at which a trailing stop fires: *delta* below that of *source* at *mark*.

    The fraction is computed when somebody asks: most triggers are replaced before that.
    """

    source: NetSource
    mark: int
    delta: Fraction | Decimal

    @property
    def pct(self) -> Fraction:
        """Return the net PnL fraction."""
        return self.source.net_pnl_pct(self.mark) - Fraction(self.delta)


class TrailingStopState:
    """The simple trailing stop at work. ``trigger`` is a net PnL fraction, None until armed."""

    __slots__ = ("_activation", "_best", "_delta", "_trigger")

    def __init__(
        self,
        activation: Fraction | Decimal,
        delta: Fraction | Decimal,
        trigger: Fraction | None = None,
    ) -> None:
        self._activation = activation
        self._delta = delta
        self._trigger = trigger
        self._best: tuple[NetSource, int] | None = None

    @property
    def activation(self) -> Fraction:
        """Return the net PnL above which it is armed."""
        return Fraction(self._activation)

    @property
    def delta(self) -> Fraction:
        """Return how far it trails the best net PnL."""
        return Fraction(self._delta)

    @property
    def activation_ratio(self) -> tuple[int, int]:
        """Return ``activation`` as numerator and denominator."""
        return self._activation.as_integer_ratio()

    @property
    def delta_ratio(self) -> tuple[int, int]:
        """Return ``delta`` as numerator and denominator."""
        return self._delta.as_integer_ratio()

    @property
    def trigger(self) -> Fraction | None:
        """Return the net PnL below which it fires."""
        if self._trigger is None and self._best is not None:
            source, mark = self._best
            self._trigger = source.net_pnl_pct(mark) - self.delta
        return self._trigger

    @trigger.setter
    def trigger(self, trigger: Fraction | None) -> None:
        self._best = None
        self._trigger = trigger

    @property
    def seen_trigger(self) -> Fraction | TrailingTrigger | None:
        """Return the trigger for somebody who may never look at its value."""
        if self._trigger is None and self._best is not None:
            return TrailingTrigger(*self._best, self._delta)
        return self._trigger

    @property
    def is_armed(self) -> bool:
        """Whether there is a trigger."""
        return self._best is not None or self._trigger is not None

    def is_from(self, source: NetSource) -> bool:
        """Whether the trigger was set by a mark of *source* itself."""
        return self._best is not None and self._best[0] is source

    @classmethod
    def of(cls, config: TrailingStop, trigger: Fraction | None = None) -> TrailingStopState:
        """Return the state for *config*; *trigger* is kept from an earlier one."""
        return cls(config.activation_price, config.trailing_delta, trigger)

    def raise_to(self, source: NetSource, mark: int) -> None:
        """Let the trigger trail the net PnL of *source* at *mark*, which is known to raise it.

        The fraction itself is computed when somebody asks: a crowd of stops is raised at every
        new best price, and most triggers are replaced before anybody has looked at them.
        """
        self._best = (source, mark)
        self._trigger = None

    def update(self, net_pnl_pct: Fraction) -> bool:
        """Take the newest net PnL and return whether the stop fires (4.2).

        Arming never fires in the same update. A trigger of exactly 0 is a trigger (DEV-05).
        """
        trigger = self.trigger
        if trigger is None:
            if net_pnl_pct > self.activation:
                self.trigger = net_pnl_pct - self.delta
            return False
        if net_pnl_pct < trigger:
            return True
        self.trigger = max(trigger, net_pnl_pct - self.delta)
        return False
