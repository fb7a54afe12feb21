"""Turns market, performance and load into the interval between two cycles."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from engine.scheduling import scheduler_options as spec
from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.interval_factors import IntervalFactors
from engine.scheduling.interval_metrics import IntervalMetrics, Outcome
from engine.scheduling.loop_owner import LoopOwner
from engine.scheduling.market_condition import MarketCondition
from engine.scheduling.option import Option, Optioned, OptionSpec
from engine.scheduling.readings import check_finite
from engine.scheduling.system_load import UNMEASURED, SystemLoad

NOT_GIVEN: Final[Any] = object()
"""Stands for an argument that was left out, where None says something."""
_SUCCESS: Final = Outcome.SUCCESS  # found faster by a global name than in its class


class AdaptiveScheduler(Optioned):
    """Intervals that follow the market, how tasks do, and how busy the machine is.

    Every option is an attribute that may be assigned at any time. Once an engine that uses it has
    been started, the methods belong to the engine's loop; `get_stats` may be called from anywhere.

    Args:
        config: options by name.
        clock: tells how old the market figures are.
        rng: draws the jitter.

    Raises:
        ValueError: an option is unknown or refused.
    """

    OPTIONS: ClassVar[Mapping[str, OptionSpec[Any]]] = spec.SCHEDULER_OPTIONS
    min_interval = Option(spec.MIN_INTERVAL)
    max_interval = Option(spec.MAX_INTERVAL)
    default_interval = Option(spec.DEFAULT_INTERVAL)
    market_weight = Option(spec.MARKET_WEIGHT)
    performance_weight = Option(spec.PERFORMANCE_WEIGHT)
    system_weight = Option(spec.SYSTEM_WEIGHT)
    smoothing = Option(spec.SMOOTHING)
    jitter = Option(spec.JITTER)
    failure_backoff_max = Option(spec.FAILURE_BACKOFF_MAX)
    market_ttl = Option(spec.MARKET_TTL)
    system_sample_interval = Option(spec.SYSTEM_SAMPLE_INTERVAL)
    network_capacity = Option(spec.NETWORK_CAPACITY)
    io_capacity = Option(spec.IO_CAPACITY)

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.owner = LoopOwner()
        self.on_option_changed: Any = None  # the engine's: the sampler's pause depends on one
        super().__init__(config)
        self._clock: Final = clock or SystemClock()
        self._rng: Final = rng or random.Random()
        self._metrics: Final[dict[tuple[str, str], IntervalMetrics]] = {}
        self._agents: Final[dict[str, int]] = {}
        self._market = MarketCondition()
        self._market_at: float | None = None
        self._load = UNMEASURED
        self._adjustments = 0
        self._clamped = 0

    # --- inputs ----------------------------------------------------------------------------

    @property
    def market_condition(self) -> MarketCondition:
        """The market figures that were given last, however old."""
        return self._market

    @property
    def system_load(self) -> SystemLoad:
        """The load that was given last."""
        return self._load

    def update_market_condition(
        self,
        condition: MarketCondition | Mapping[str, float] | float = NOT_GIVEN,
        trading_volume: float = NOT_GIVEN,
        trend: float = NOT_GIVEN,
        liquidity: float = NOT_GIVEN,
        *,
        volatility: float = NOT_GIVEN,
    ) -> None:
        """Take new market figures: a condition, a mapping, or the four values.

        Values that are left out are those of ``MarketCondition()``; finite ones outside their range
        are forced into it and counted.

        Raises:
            ValueError: a value is NaN, infinite or no number.
        """
        self.owner.check()
        values = {"trading_volume": trading_volume, "trend": trend, "liquidity": liquidity}
        values["volatility"] = volatility
        first = "volatility"
        given = _reading(MarketCondition, condition, first, values, what="market condition")
        self._market, clamped = given.clamped()
        self._market_at = self._clock.monotonic()
        self._clamped += clamped

    def update_system_load(
        self,
        load: SystemLoad | Mapping[str, float | None] | float | None = NOT_GIVEN,
        memory_usage: float | None = NOT_GIVEN,
        network_usage: float | None = NOT_GIVEN,
        io_usage: float | None = NOT_GIVEN,
        *,
        cpu_usage: float | None = NOT_GIVEN,
    ) -> None:
        """Take a new load: a `SystemLoad`, a mapping, or the four shares.

        Shares that are left out are those of ``SystemLoad()``; None says that something is not
        measured.

        Raises:
            ValueError: a share is NaN, infinite or no number.
        """
        self.owner.check()
        values = {"memory_usage": memory_usage, "network_usage": network_usage}
        values |= {"io_usage": io_usage, "cpu_usage": cpu_usage}
        given = _reading(SystemLoad, load, "cpu_usage", values, what="system load")
        self._load, clamped = given.clamped()
        self._clamped += clamped

    def update_execution_time(self, agent_id: str, task_type: str, seconds: float) -> None:
        """A run succeeded in *seconds*.

        Raises:
            ValueError: *seconds* is negative or not finite.
        """
        self.owner.check()
        if check_finite(seconds, "run time") < 0:
            raise ValueError(f"run time must be >= 0, not {seconds!r}")
        self.book_success(agent_id, task_type, seconds)

    def book_success(self, agent_id: str, task_type: str, seconds: float) -> None:
        """Do what `update_execution_time` does, without its checks; for the engine."""
        entry = self._metrics.get((agent_id, task_type)) or self._entry(agent_id, task_type)
        entry.run_times.append(seconds)
        entry.outcomes.append(_SUCCESS)
        entry.failures = 0

    def update_timeout(self, agent_id: str, task_type: str) -> None:
        """A run did not end in time."""
        self.owner.check()
        self._entry(agent_id, task_type).failed(Outcome.TIMEOUT)

    def update_error(self, agent_id: str, task_type: str, message: str = "") -> None:
        """A run failed with *message*."""
        self.owner.check()
        entry = self._entry(agent_id, task_type)
        entry.failed(Outcome.ERROR)
        entry.last_error = str(message)[:200]

    def forget(self, agent_id: str) -> None:
        """Drop everything that is known of *agent_id*."""
        self.owner.check()
        if self._agents.pop(agent_id, None) is not None:
            for key in [key for key in self._metrics if key[0] == agent_id]:
                del self._metrics[key]

    # --- intervals -------------------------------------------------------------------------

    def calculate_interval(self, agent_id: str, task_type: str, base_interval: float) -> float:
        """Return the plain interval in seconds: no randomness, no memory.

        Raises:
            ValueError: *base_interval* is not positive and finite.
        """
        self.owner.check()
        base = _checked_base(base_interval)
        factors = self._factors(self._metrics.get((agent_id, task_type)), base)
        self._adjustments += 1
        return self._clamp(base * factors.adjustment)

    def next_interval(self, agent_id: str, task_type: str, base_interval: float) -> float:
        """Return the interval that the engine uses: smoothed, after failures longer, jittered.

        Raises:
            ValueError: *base_interval* is not positive and finite.
        """
        self.owner.check()
        base = _checked_base(base_interval)
        entry = self._entry(agent_id, task_type)
        factors = self._factors(entry, base)
        entry.smoothed = factors.smoothed
        interval = factors.interval
        if self.jitter:
            interval = self._clamp(interval * (1 + self._rng.uniform(-self.jitter, self.jitter)))
        entry.factors = IntervalFactors(**(factors.to_dict() | {"interval": interval}))
        self._adjustments += 1
        return interval

    def explain(self, agent_id: str, task_type: str, base_interval: float) -> IntervalFactors:
        """Return what the next interval would be made of, without jitter; changes nothing.

        Raises:
            ValueError: *base_interval* is not positive and finite.
        """
        return self._factors(self._metrics.get((agent_id, task_type)), _checked_base(base_interval))

    def last_factors(self, agent_id: str, task_type: str) -> IntervalFactors | None:
        """Return what the latest `next_interval` was made of; None before one."""
        entry = self._metrics.get((agent_id, task_type))
        return None if entry is None else entry.factors

    def reliability(self, agent_id: str, task_type: str) -> float:
        """Return R of 7.2; 1 when nothing is known."""
        entry = self._metrics.get((agent_id, task_type))
        return 1.0 if entry is None else entry.reliability

    # --- looking ---------------------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Return the figures of the scheduler; any thread."""
        return {
            "agents_tracked": len(self._agents),
            "interval_adjustments": self._adjustments,
            "market_condition": self._market.to_dict(),
            "system_load": self._load.to_dict(),
            "clamped_inputs": self._clamped,
        }

    # --- within ----------------------------------------------------------------------------

    def _entry(self, agent_id: str, task_type: str) -> IntervalMetrics:
        entry = self._metrics.get((agent_id, task_type))
        if entry is None:
            entry = self._metrics[agent_id, task_type] = IntervalMetrics()
            self._agents[agent_id] = self._agents.get(agent_id, 0) + 1
        return entry

    def _factors(self, entry: IntervalMetrics | None, base: float) -> IntervalFactors:
        """Return the factors of 7.2 and, of 7.4, everything but the jitter."""
        entry = entry or IntervalMetrics()
        market, system = self._market_factor(), self._system_factor()
        performance = entry.performance
        weights = self.performance_weight, self.market_weight, self.system_weight
        # The largest is taken out first: tiny or huge weights neither vanish nor overflow.
        scale = max(weights)
        wp, wm, ws = (weight / scale for weight in weights)
        adjustment = (wp * performance + wm * market + ws * system) / (wp + wm + ws)
        smoothed = adjustment
        if entry.smoothed is not None:
            smoothed = self.smoothing * adjustment + (1 - self.smoothing) * entry.smoothed
        backoff = self._backoff(entry.failures)
        return IntervalFactors(
            performance=performance,
            market=market,
            system=system,
            opportunity=self._market.opportunity,
            reliability=entry.reliability,
            adjustment=adjustment,
            smoothed=smoothed,
            backoff=backoff,
            interval=self._clamp(base * smoothed * backoff),
        )

    def _market_factor(self) -> float:
        if self._market_at is None:
            return 1.0
        age = self._clock.monotonic() - self._market_at
        return 1.0 if age > self.market_ttl else 1.5 - self._market.activity

    def _system_factor(self) -> float:
        load = self._load.mean
        return 1.0 if load is None else 0.5 + load

    def _backoff(self, failures: int) -> float:
        if failures <= 1:
            return 1.0
        # 2**62 is beyond any interval; a larger power would only become slow.
        return min(2.0 ** min(failures - 1, 62), self.failure_backoff_max)

    def _clamp(self, seconds: float) -> float:
        return min(max(seconds, self.min_interval), self.max_interval)

    def _before_assign(self) -> None:
        self.owner.check()

    def _check_together(self, values: Mapping[str, Any]) -> None:
        spec.check_together(values)

    def _option_changed(self, name: str) -> None:
        if self.on_option_changed is not None:
            self.on_option_changed(name)


def _checked_base(base: float) -> float:
    if check_finite(base, "base interval") <= 0:
        raise ValueError(f"base interval must be > 0, not {base!r}")
    return float(base)


def _reading(
    cls: type[Any], first: object, name: str, rest: Mapping[str, Any], *, what: str
) -> Any:  # noqa: ANN401 (the type is the argument's)
    """Return a *cls* from what an update method was given; *name* is what a lone number means."""
    values = {key: value for key, value in rest.items() if value is not NOT_GIVEN}
    if isinstance(first, cls):
        if values:
            raise ValueError(f"{what}: give a {cls.__name__} or single values, not both")
        return first
    if isinstance(first, Mapping):
        values = {**first, **values}
    elif first is not NOT_GIVEN:
        values = {name: first, **values}
    known = tuple(cls.__dataclass_fields__)
    for key in values:
        if key not in known:
            raise ValueError(f"{what}: there is no {key!r}; there are {', '.join(known)}")
    return cls(**values)
