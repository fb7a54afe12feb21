"""Waking executors by the index equals polling each of them on each tick: 1,000 random ones."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import pytest

from engine.executors.actions import ExecutorAction
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.info import ExecutorInfo
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.markets.bar_file import BarFileOptions, load_bars
from engine.markets.replay import ReplayConfig, ReplaySource
from engine.markets.stamps import parse_bar_duration
from engine.markets.synthetic import SyntheticConfig, SyntheticSource
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.testing.scripted_venue import Desk, ScriptedVenue

DATA: Final = pathlib.Path(__file__).resolve().parents[3] / "sample_configs" / "data"
EXECUTORS: Final = 100
QUOTES: Final = 40
TYPES: Final = (
    "position_executor",
    "progressive_executor",
    "dca_executor",
    "grid_executor",
    "order_executor",
    "twap_executor",
)


class PollingOrchestrator(ExecutorOrchestrator):
    """The reference: every active executor looks at every quote, the index is not asked."""

    def on_quote(self, quote: QuoteTick) -> None:
        for member in self._roster.members():
            if member.executor.is_active:
                on_quote = member.executor.on_quote
                self._roster.dispatch(member, lambda call=on_quote: call(quote))  # type: ignore[misc]  # a default binds the loop's value
        super().on_quote(quote)


def instrument(name: str, tick: str) -> Instrument:
    return Instrument(
        ConnectorPair("paper", name),
        Decimal(tick),
        Decimal("0.01"),
        min_qty=Decimal("0.01"),
        min_notional=Decimal(5),
        maker_ppb=100_000,
        taker_ppb=200_000,
    )


def replayed(name: str, pair: str, tick: str, bar: str, speed: int) -> ReplaySource:
    options = BarFileOptions(bar=parse_bar_duration(bar), tick=Decimal(tick))
    return ReplaySource(
        instrument=instrument(pair, tick),
        bars=load_bars(DATA / name, options),
        config=ReplayConfig(path=name, bar=bar, speed=Decimal(speed), repeat=True),
    )


def source_of(market: str, seed: int) -> ReplaySource | SyntheticSource:
    match market:
        case "eurusd":
            return replayed("eurusd-1h.csv", "EUR-USD", "0.00001", "1h", 900)
        case "sp500":
            return replayed("sp500-1d.csv", "SPX-USD", "0.01", "1d", 21_600)
        case _:
            config = SyntheticConfig(
                start_price=Decimal(3_000),
                volatility_annual_pct=Decimal(5),
                intensity_per_s=Decimal(1),
                spread_bps=Decimal(2),
            )
            return SyntheticSource(
                instrument=instrument("ETH-USDT", "0.01"), config=config, seed=seed
            )


STEP: Final = {"eurusd": 0.0006, "sp500": 0.006, "synthetic": 0.001}
"""A typical move between two quotes of each market: barriers are a few of them away."""


class Draws:
    """Random configurations for one market around a price."""

    def __init__(self, market: Instrument, step: float, seed: int) -> None:
        self.random = random.Random(seed)
        self._market = market
        self._step = step

    def fields(self, kind: str, mid: float) -> dict[str, Any]:
        """Return a configuration of *kind*; it may be refused, then it is so in both runs."""
        pair = self._market.market
        common: dict[str, Any] = {
            "connector_name": pair.connector_name,
            "trading_pair": pair.trading_pair,
            "side": self.random.choice(["BUY", "SELL"]),
        }
        own: dict[str, Any] = getattr(self, kind.removesuffix("_executor"))(common["side"], mid)
        return common | own

    def position(self, side: str, mid: float) -> dict[str, Any]:
        barriers = self._entry_types() | self._maybe(
            stop_loss=self._away(), take_profit=self._away(), time_limit=self._seconds()
        )
        trailing = self._maybe(trailing_stop=f"{self._away(2)},{self._away(1)}")
        bounds = [self._away() for _ in range(1 + (barriers["open_order_type"] == "MARKET"))]
        return {
            "amount": self._amount(mid),
            "triple_barrier_config": barriers | trailing,
        } | self._maybe(
            entry_price=self._near(mid, side),
            activation_bounds=bounds if self.random.random() < 0.5 else None,
        )

    def progressive(self, side: str, mid: float) -> dict[str, Any]:
        del side
        ladder = f"{self._away(2)},{self._away(1)},{self._away(1)}:0.4"
        barriers = self._entry_types() | self._maybe(
            stop_loss=self._away(),
            trailing_stop=ladder,
            take_profit=self._away(),
            time_limit=self._seconds(),
            apr_yield=str(self.random.choice([10, 5_000, 50_000])),
        )
        return {"amount": self._amount(mid), "triple_barrier_config": barriers}

    def dca(self, side: str, mid: float) -> dict[str, Any]:
        sign = 1 if side == "BUY" else -1
        prices = [self._price(mid * (1 - sign * k * self._step)) for k in (0.2, 1.5, 3)]
        mode = self.random.choice(["MAKER", "TAKER"])
        bounds = {"activation_bounds": f"{self._away()},{self._away()}"} if mode == "TAKER" else {}
        return (
            {"amounts_quote": "50,80,120", "prices": prices, "mode": mode}
            | bounds
            | (
                self._maybe(
                    stop_loss=self._away(),
                    take_profit=self._away(),
                    trailing_stop=f"{self._away(2)},{self._away(1)}",
                    time_limit=self._seconds(),
                )
            )
        )

    def grid(self, side: str, mid: float) -> dict[str, Any]:
        low, high = mid * (1 - 4 * self._step), mid * (1 + 4 * self._step)
        beyond = low * (1 - 3 * self._step) if side == "BUY" else high * (1 + 3 * self._step)
        return {
            "start_price": self._price(low),
            "end_price": self._price(high),
            "limit_price": self._price(beyond),
            "total_amount_quote": "400",
            "max_open_orders": self.random.choice([1, 3]),
            "min_spread_between_orders": f"{self._step:.6f}",
            "triple_barrier_config": {"take_profit": f"{self._step:.6f}"}
            | self._maybe(stop_loss=self._away(), time_limit=self._seconds()),
        }

    def order(self, side: str, mid: float) -> dict[str, Any]:
        strategy = self.random.choice(["MARKET", "LIMIT", "LIMIT_MAKER", "LIMIT_CHASER"])
        chaser = {"distance": self._away(1), "refresh_threshold": self._away(1)}
        return {
            "amount": self._amount(mid),
            "execution_strategy": strategy,
            "price": self._near(mid, side),
        } | ({"chaser_config": chaser} if strategy == "LIMIT_CHASER" else {})

    def twap(self, side: str, mid: float) -> dict[str, Any]:
        del side, mid
        mode = self.random.choice(["MAKER", "TAKER"])
        return {
            "total_amount_quote": "90",
            "total_duration": 30,
            "order_interval": 6,
            "mode": mode,
        } | ({"limit_order_buffer": self._away(1)} if mode == "MAKER" else {})

    def _entry_types(self) -> dict[str, Any]:
        return {
            "open_order_type": self.random.choice(["MARKET", "LIMIT", "LIMIT_MAKER"]),
            "take_profit_order_type": self.random.choice(["MARKET", "LIMIT"]),
        }

    def _maybe(self, **fields: Any) -> dict[str, Any]:
        chosen = {name: value for name, value in fields.items() if self.random.random() < 0.6}
        return {name: value for name, value in chosen.items() if value is not None}

    def _away(self, most: float = 5) -> str:
        return f"{self._step * self.random.uniform(0.3, most):.6f}"

    def _seconds(self) -> int:
        return self.random.randint(5, 40)

    def _amount(self, mid: float) -> str:
        return str(
            (Decimal(self.random.choice([20, 100, 900])) / Decimal(mid)).quantize(Decimal("0.01"))
            + Decimal("0.01")
        )

    def _near(self, mid: float, side: str) -> str:
        sign = 1 if side == "BUY" else -1
        return self._price(mid * (1 - sign * self._step * self.random.uniform(-0.5, 2)))

    def _price(self, price: float) -> str:
        return str(self._market.price(self._market.nearest_ticks(Decimal(price))))


def quotes_of(market: str, seed: int) -> tuple[Instrument, Iterator[QuoteTick]]:
    source = source_of(market, seed)
    skipped = 37 * seed
    return source.instrument, islice(source.ticks(1_000 * SECOND_NS), skipped, skipped + QUOTES)


class Run:
    """One session over the market, with the executors of one seed."""

    def __init__(self, kind: type[ExecutorOrchestrator], market: str, seed: int) -> None:
        load_builtin_executors()
        self.instrument, quotes = quotes_of(market, seed)
        self.venue = ScriptedVenue([self.instrument], seed=seed)
        self.desk = Desk(self.venue, kind(strategy=self.venue))
        self.draws = Draws(self.instrument, STEP[market], seed)
        self.created: list[str] = []
        self.ended: dict[str, ExecutorInfo] = {}
        self.venue.fill_cap_lots = self.draws.random.choice([None, 3_000])
        for number, quote in enumerate(quotes):
            self._take(quote)
            while (
                number < QUOTES // 2 and len(self.created) < 2 * EXECUTORS * (number + 1) // QUOTES
            ):
                self._create(quote)
        self.desk.orchestrator.begin_stop(keep_positions=seed % 2 == 0)
        self.desk.pump()
        self.desk.advance(60)
        self._note_ended()

    def result(self) -> tuple[list[object], list[object]]:
        """Return every order, and of every executor its close and its money."""
        orders: list[object] = [
            (order.request, order.created_ns, order.filled_lots, order.filled_atoms, order.status)
            for order in self.venue.orders.values()
        ]
        ends: list[object] = [
            (
                info.id,
                info.close_type,
                info.close_timestamp,
                info.net_pnl_quote,
                info.cum_fees_quote,
                info.filled_amount_quote,
            )
            for info in self.ended.values()
        ]
        return orders, ends

    def _take(self, quote: QuoteTick) -> None:
        wait_ns = quote.ts_ns - self.venue.now_ns()
        if wait_ns > 0:
            self.desk.advance(wait_ns / SECOND_NS)
        self.desk.quote(quote.market, quote.bid_ticks, quote.ask_ticks)
        self._note_ended()

    def _create(self, quote: QuoteTick) -> None:
        kind = TYPES[len(self.created) % len(TYPES)]
        mid = float(self.instrument.price(quote.bid_ticks + quote.ask_ticks)) / 2
        config = ExecutorFactory.get_config_type(kind)(**self.draws.fields(kind, mid))
        result = self.desk.orchestrator.execute_action(ExecutorAction.create(config))
        assert result.ok, result.message
        self.created.append(str(result.executor_id))
        self.desk.pump()

    def _note_ended(self) -> None:
        for archived in self.desk.orchestrator.take_archived():
            self.ended[archived.info.id] = archived.info
        for executor in self.desk.orchestrator.executors():
            if executor.is_done:
                self.ended.setdefault(executor.executor_id, executor.executor_info)


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("market", ["eurusd", "sp500", "synthetic"])
def test_waking_equals_polling(market: str, seed: int) -> None:
    check(market, seed)


def test_waking_equals_polling_over_other_synthetic_ticks() -> None:
    check("synthetic", 9)  # the tenth hundred


def check(market: str, seed: int) -> None:
    """Compare both runs, and see that they are about something."""
    waking = Run(ExecutorOrchestrator, market, seed)
    orders, ends = waking.result()
    assert (orders, ends) == Run(PollingOrchestrator, market, seed).result()
    assert len(waking.created) == len(ends) == EXECUTORS
    assert len(orders) > EXECUTORS
    assert len({info.close_type for info in waking.ended.values()}) >= 4
