"""Live strategies, each in a container of its own with health, breaker and guards (LIVE-1 to 5).

Paper mode: the broker of each container is the simulated one with tick rules, no order leaves the
process. The same code path serves real venues, which come with their order router.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from engine import flow
from engine.live.health import HealthCheck
from engine.live.live_config import LiveConfig
from engine.live.live_strategy import LiveStatus, LiveStrategyContainer
from engine.live.virtual_portfolio import AccountBook, VirtualPortfolio
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType, strategy_types


class LiveTradingManager:
    """Adds, watches, pauses and removes live strategies of one account.

    Args:
        instruments: the markets.
        account_equity: what may be allocated to strategies, less the reserve.
        currency: of the account.
        parity: quote assets that count 1:1.
        reserve: share of the equity that is never allocated (LIVE-3).
        strategies: strategy types instead of the shipped ones.
        now_ns: the time.
    """

    def __init__(
        self,
        *,
        instruments: Mapping[ConnectorPair, Instrument],
        account_equity: Decimal,
        now_ns: Callable[[], int],
        currency: str = "USD",
        parity: Sequence[str] = (),
        reserve: Decimal = Decimal("0.05"),
        strategies: Mapping[str, StrategyType] | None = None,
        internal_crossing: bool = False,
    ) -> None:
        self._instruments = dict(instruments)
        self._account_equity = account_equity
        self._now_ns = now_ns
        self._currency = currency
        self._parity = tuple(parity)
        self._reserve = reserve
        self._types = strategy_types() if strategies is None else dict(strategies)
        self._strategies: dict[str, LiveStrategyContainer] = {}
        self.book = AccountBook(internal_crossing=internal_crossing)

    @property
    def strategies(self) -> Mapping[str, LiveStrategyContainer]:
        """Return the strategies by id."""
        return self._strategies

    def add_strategy(
        self, strategy_id: str, config: LiveConfig | Mapping[str, Any], *, market: ConnectorPair
    ) -> LiveStrategyContainer:
        """Start a strategy on *market*.

        Raises:
            ExistsError: the id is taken.
            ConfigurationError: its capital does not fit, or its strategy is not known.
        """
        if strategy_id in self._strategies:
            raise flow.ExistsError(f"strategy {strategy_id} exists already")
        checked = config if isinstance(config, LiveConfig) else LiveConfig.model_validate(config)
        self._check_capital(strategy_id, checked.components.portfolio.allocated_capital)
        kind = self._types.get(checked.components.strategy.kind)
        if kind is None:
            raise flow.ConfigurationError(
                f"strategy {checked.components.strategy.kind!r} is not known, allowed: "
                f"{', '.join(sorted(self._types))}"
            )
        live = LiveStrategyContainer(
            strategy_id,
            checked,
            kind=kind,
            market=market,
            instruments=self._instruments,
            currency=self._currency,
            parity=self._parity,
        )
        self.book.add(
            VirtualPortfolio(
                strategy_id,
                tuple(self._instruments.values()),
                allocated_capital=checked.components.portfolio.allocated_capital,
                currency=self._currency,
            )
        )
        self._strategies[strategy_id] = live
        if checked.circuit_breaker is None:
            live.alerts.append("no circuit_breaker is configured: the defaults are used")
        live.start(self._now_ns())
        return live

    def remove_strategy(
        self, strategy_id: str, policy: Literal["flatten", "keep", "transfer"] = "flatten"
    ) -> None:
        """Stop a strategy and forget it: flatten, keep its position at the account, or transfer it.

        Raises:
            NotFoundError: there is none of this id.
        """
        live = self._get(strategy_id)
        live.stop(policy)
        self._book_fills(live)
        live.close()
        del self._strategies[strategy_id]
        self.book.remove(strategy_id)

    def pause(self, strategy_id: str) -> None:
        """Stop a strategy's entries.

        Raises:
            NotFoundError: there is none of this id.
        """
        self._get(strategy_id).pause()

    def resume(self, strategy_id: str) -> None:
        """Let a strategy run again; only a person does this after a halt.

        Raises:
            NotFoundError: there is none of this id.
        """
        self._get(strategy_id).resume()

    def flatten(self, strategy_id: str) -> None:
        """Close the positions of one strategy.

        Raises:
            NotFoundError: there is none of this id.
        """
        live = self._get(strategy_id)
        live.flatten()
        self._book_fills(live)

    def flatten_all(self) -> None:
        """Close all positions of all strategies."""
        for strategy_id in list(self._strategies):
            self.flatten(strategy_id)

    def status(self) -> tuple[LiveStatus, ...]:
        """Return what can be said of each strategy, in the order in which they were added."""
        return tuple(one.status() for one in self._strategies.values())

    def on_quote(self, quote: QuoteTick) -> None:
        """Fan a quote out to the strategies; bounded queues, none holds up another (CONT-13)."""
        for live in self._strategies.values():
            live.offer(quote)

    def work(self) -> int:
        """Let every strategy handle what it has; return how many quotes were handled."""
        now_ns = self._now_ns()
        handled = 0
        for live in list(self._strategies.values()):
            handled += live.work(now_ns)
            self._book_fills(live)
        return handled

    def check_health(self) -> Mapping[str, HealthCheck]:
        """Judge every strategy."""
        now_ns = self._now_ns()
        return {key: one.check_health(now_ns) for key, one in self._strategies.items()}

    def close(self) -> None:
        """Stop everything and keep the positions."""
        for strategy_id in list(self._strategies):
            self.remove_strategy(strategy_id, "keep")

    def _check_capital(self, strategy_id: str, wanted: Decimal) -> None:
        taken = sum(
            (
                one.config.components.portfolio.allocated_capital
                for one in self._strategies.values()
            ),
            Decimal(0),
        )
        limit = self._account_equity * (1 - self._reserve)
        if taken + wanted > limit:
            raise flow.ConfigurationError(
                f"strategy {strategy_id}: capital {wanted} with {taken} of the others is above "
                f"{limit} (account equity {self._account_equity}, reserve {self._reserve})"
            )

    def _book_fills(self, live: LiveStrategyContainer) -> None:
        while live.fills_taken:
            self.book.attribute(live.id, live.fills_taken.popleft())

    def _get(self, strategy_id: str) -> LiveStrategyContainer:
        found = self._strategies.get(strategy_id)
        if found is None:
            known = ", ".join(self._strategies) or "none"
            raise flow.NotFoundError(f"there is no strategy {strategy_id}, known: {known}")
        return found
