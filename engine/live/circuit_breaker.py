"""Circuit breakers and trading guards (LIVE-10, LIVE-11); pure, time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.model.clock import SECOND_NS

MAX_OPEN_S: Final = 600
_MINUTE_NS: Final = 60 * SECOND_NS


@unique
class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerSettings(BaseModel):
    """Section ``circuit_breaker``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_threshold: int = Field(default=5, ge=1, description="failures that open it")
    window_s: int = Field(default=60, ge=1, description="seconds within which they count")
    open_s: int = Field(default=30, ge=1, le=MAX_OPEN_S, description="seconds without entries")


class CircuitBreaker:
    """Opens after too many failures; half open it lets one probe pass.

    Failures are venue errors, time-outs, rejects and exceptions of the strategy. Each time that it
    opens again without a success in between it stays open twice as long, at most 600 seconds.
    """

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._failures: deque[int] = deque()
        self._open_s = self._settings.open_s
        self._opened_ns = 0
        self._has_probe = False
        self._state = BreakerState.CLOSED
        self.trips = 0

    @property
    def open_s(self) -> int:
        """Return how long it stays open this time."""
        return self._open_s

    def state(self, now_ns: int) -> BreakerState:
        """Return the state at *now_ns*; an open one becomes half open when its time is over."""
        if (
            self._state is BreakerState.OPEN
            and now_ns - self._opened_ns >= self._open_s * SECOND_NS
        ):
            self._state = BreakerState.HALF_OPEN
            self._has_probe = False
        return self._state

    def allows_entry(self, now_ns: int) -> bool:
        """Return whether an entry may pass now; half open only one may, until it is judged."""
        match self.state(now_ns):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._has_probe:
                    return False
                self._has_probe = True
                return True

    def record_failure(self, now_ns: int) -> bool:
        """Take a failure; return whether it opened the breaker."""
        state = self.state(now_ns)
        if state is BreakerState.HALF_OPEN:
            self._open_s = min(MAX_OPEN_S, 2 * self._open_s)
            return self._open(now_ns)
        if state is BreakerState.OPEN:
            return False
        failures = self._failures
        failures.append(now_ns)
        while failures and now_ns - failures[0] > self._settings.window_s * SECOND_NS:
            failures.popleft()
        return len(failures) >= self._settings.failure_threshold and self._open(now_ns)

    def record_success(self, now_ns: int) -> None:
        """Take a success; a half open breaker closes."""
        if self.state(now_ns) is BreakerState.HALF_OPEN:
            self._state = BreakerState.CLOSED
            self._failures.clear()
            self._open_s = self._settings.open_s

    def trip(self, now_ns: int) -> None:
        """Open it for a reason from outside, such as two unhealthy checks in a row."""
        self._open(now_ns)

    def _open(self, now_ns: int) -> bool:
        self._state = BreakerState.OPEN
        self._opened_ns = now_ns
        self._failures.clear()
        self.trips += 1
        return True


class GuardSettings(BaseModel):
    """Bounds that halt a strategy until a person resumes it; None switches one off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drawdown: Decimal | None = Field(default=None, gt=0, le=1, description="fraction of peak")
    max_daily_loss: Decimal | None = Field(default=None, gt=0, le=1, description="fraction")
    max_orders_per_minute: int | None = Field(default=60, ge=1, description="orders in 60 s")
    max_reject_rate: Decimal | None = Field(
        default=Decimal("0.5"), gt=0, le=1, description="share of the last 20 orders"
    )
    price_band: Decimal | None = Field(
        default=Decimal("0.05"), gt=0, description="how far through the last price, a fraction"
    )
    max_slippage_bps: Decimal | None = Field(
        default=None, gt=0, description="mean of 20 fills against the shadow"
    )


@dataclass(frozen=True, slots=True)
class GuardTrip:
    """A guard that was hit; the strategy is halted."""

    guard: str
    text: str


class TradingGuards:
    """Watches one strategy's orders, fills and equity (LIVE-11)."""

    SAMPLE: Final = 20

    def __init__(self, settings: GuardSettings, *, equity_atoms: int) -> None:
        self._settings = settings
        self._peak = equity_atoms
        self._day = -1
        self._day_start = equity_atoms
        self._orders: deque[int] = deque()
        self._rejects: deque[bool] = deque(maxlen=self.SAMPLE)
        self._slippage: deque[Decimal] = deque(maxlen=self.SAMPLE)

    def restart(self, equity_atoms: int) -> None:
        """Begin again after a person's decision: peak, counts and samples start from now."""
        self._peak = self._day_start = equity_atoms
        for kept in (self._orders, self._rejects, self._slippage):
            kept.clear()

    def on_equity(self, equity_atoms: int, now_ns: int) -> GuardTrip | None:
        """Take an equity sample."""
        day = now_ns // (86_400 * SECOND_NS)
        if day != self._day:
            self._day, self._day_start = day, equity_atoms
        self._peak = max(self._peak, equity_atoms)
        limit = self._settings.max_drawdown
        if limit is not None and self._peak > 0:
            drawdown = Decimal(self._peak - equity_atoms) / self._peak
            if drawdown >= limit:
                return GuardTrip("max_drawdown", f"drawdown {drawdown:.4f} reached {limit}")
        limit = self._settings.max_daily_loss
        if limit is not None and self._day_start > 0:
            loss = Decimal(self._day_start - equity_atoms) / self._day_start
            if loss >= limit:
                return GuardTrip("max_daily_loss", f"daily loss {loss:.4f} reached {limit}")
        return None

    def on_order(self, now_ns: int, *, is_rejected: bool) -> GuardTrip | None:
        """Take an order that was sent together with its outcome."""
        return self.on_send(now_ns) or self.on_outcome(is_rejected=is_rejected)

    def on_send(self, now_ns: int) -> GuardTrip | None:
        """Take an order that is about to be sent; a trip says that it is one too many."""
        orders = self._orders
        orders.append(now_ns)
        while orders and now_ns - orders[0] >= _MINUTE_NS:
            orders.popleft()
        most = self._settings.max_orders_per_minute
        if most is not None and len(orders) > most:
            return GuardTrip("max_orders_per_minute", f"{len(orders)} orders in 60 s, {most} may")
        return None

    def on_outcome(self, *, is_rejected: bool) -> GuardTrip | None:
        """Take what became of an order; a trip says that too many of the last were rejected."""
        self._rejects.append(is_rejected)
        rate = self._settings.max_reject_rate
        if rate is not None and len(self._rejects) == self.SAMPLE:
            share = Decimal(sum(self._rejects)) / self.SAMPLE
            if share >= rate:
                return GuardTrip("max_reject_rate", f"{share} of {self.SAMPLE} orders rejected")
        return None

    def on_price(self, price: Decimal, last: Decimal, *, side: int) -> GuardTrip | None:
        """Take an order's price: too far through the last one is a mistake.

        Args:
            price: the order's limit.
            last: the market's last price.
            side: +1 for a buy, -1 for a sell.
        """
        band = self._settings.price_band
        if band is None or last <= 0:
            return None
        through = side * (price - last) / last
        if through > band:
            return GuardTrip("price_band", f"price {price} is {through:.4f} through {last}")
        return None

    def on_slippage(self, actual: Decimal, predicted: Decimal, *, side: int) -> GuardTrip | None:
        """Take a fill beside its shadow's prediction."""
        most = self._settings.max_slippage_bps
        if predicted <= 0:
            return None
        self._slippage.append(side * (actual - predicted) / predicted * 10_000)
        if most is None or len(self._slippage) < self.SAMPLE:
            return None
        mean = sum(self._slippage, Decimal(0)) / self.SAMPLE
        if mean > most:
            return GuardTrip("max_slippage_bps", f"mean slippage {mean:.2f} bps is above {most}")
        return None
