"""Invariants of bar execution on random bars and scripts (T3, T5, LOOK-2, D4)."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import (
    BASIS_FILL,
    FILLED,
    FOK,
    IOC,
    LIMIT,
    MARKET,
    MARKET_IF_TOUCHED,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
    Bracket,
)
from engine.model.instruments import Settlement
from engine.model.run_tables import fingerprint
from engine.testing.bar_run import BarRun, Script, bar_columns

Bar = tuple[int, int, int, int]
FEW = settings(max_examples=60, deadline=None)

PRICES = st.integers(90, 110)


@st.composite
def one_bar(draw: st.DrawFn) -> Bar:
    opening, high, low, close = (draw(PRICES) for _ in range(4))
    top, bottom = max(opening, high, low, close), min(opening, high, low, close)
    return opening, top, bottom, close


@st.composite
def brackets(draw: st.DrawFn, side: int) -> Bracket | None:
    if not draw(st.booleans()):
        return None
    trail = draw(st.sampled_from([(0, 0), (OFFSET_TICKS, 4), (OFFSET_PPB, 30_000_000)]))
    if draw(st.booleans()):
        return Bracket(
            basis=BASIS_FILL,
            sl=draw(st.none() | st.integers(1, 9)),
            sl_unit=OFFSET_TICKS,
            tp=draw(st.none() | st.integers(10_000_000, 90_000_000)),
            tp_unit=OFFSET_PPB,
            sl_trail_unit=trail[0],
            sl_trail_value=trail[1],
        )
    below, above = draw(st.integers(80, 99)), draw(st.integers(101, 120))
    return Bracket(
        sl=below if side > 0 else above,
        tp=above if side > 0 else below,
        sl_trail_unit=trail[0],
        sl_trail_value=trail[1],
    )


@st.composite
def one_order(draw: st.DrawFn) -> BarOrder:
    side = draw(st.sampled_from([1, -1]))
    kind = draw(st.integers(MARKET, MARKET_IF_TOUCHED))
    lots = draw(st.integers(1, 9))
    has_size = kind == MARKET and draw(st.integers(0, 3)) == 0
    return BarOrder(
        0,
        side,
        kind,
        0 if has_size else lots,
        size_ppb=draw(st.integers(1, 10**9)) if has_size else 0,
        limit=draw(PRICES) if kind in (LIMIT, STOP_LIMIT) else None,
        stop=draw(PRICES) if kind in (STOP, STOP_LIMIT, MARKET_IF_TOUCHED) else None,
        trail_unit=OFFSET_TICKS if kind in (TRAILING_STOP, TRAILING_STOP_LIMIT) else 0,
        trail_value=draw(st.integers(1, 6)),
        limit_offset=draw(st.integers(0, 2)) if kind == TRAILING_STOP_LIMIT else 0,
        activation=draw(st.none() | PRICES) if kind == TRAILING_STOP else None,
        tif=draw(st.sampled_from([0, 0, 0, 1, IOC, FOK])),
        reduce_only=draw(st.integers(0, 4)) == 0,
        post_only=kind == LIMIT and draw(st.integers(0, 4)) == 0,
        oco_group=draw(st.sampled_from([0, 0, 0, "a", "b"])),
        oco_mode=draw(st.integers(0, 2)),
        bracket=draw(brackets(side)),
    )


SETTINGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["pessimistic", "adaptive", "ohlc", "olhc"]),
        "limit_fill": st.sampled_from(["touch", "through", {"kind": "probability", "p": "0.5"}]),
        "market_basis": st.sampled_from(["open", "open", "typical", "close"]),
        "max_participation": st.sampled_from([None, "0.5", 1]),
        "insufficient_funds": st.sampled_from(["reject", "trim"]),
        "latency_ms": st.sampled_from([0, 0, 40_000_000, 100_000_000]),
        "trail_update": st.sampled_from(["path", "close"]),
    }
)
ACCOUNTS = st.fixed_dictionaries(
    {
        "initial_cash": st.sampled_from([100_000, 100_000, 1_500]),
        "account": st.just("margin"),
        "leverage": st.sampled_from([1, 3, 20]),
        "intrabar_margin": st.booleans(),
    }
)
COSTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"slippage_model": {"kind": "fixed", "ticks": 2}, "commission_model": "per_trade"},
        {"slippage_model": "volume_share", "commission_model": {"kind": "tiered", "min": 0}},
        {
            "slippage_model": {"kind": "composite", "models": ["variable", "volatility"]},
            "commission_model": {"kind": "maker_taker", "maker": "-0.0001"},
        },
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    bars = draw(st.lists(one_bar(), min_size=2, max_size=9))
    script = {bar: draw(st.lists(one_order(), max_size=3)) for bar in range(len(bars) - 1)}
    return {
        "bars": bars,
        "volumes": [draw(st.sampled_from([-1, 0, 3, 12, 12, 40])) for _ in bars],
        "ends": sorted(draw(st.sets(st.integers(0, len(bars) - 1)))),
        "synthetic": draw(st.sampled_from([[], [], [1]])),
        "script": script,
        "settings": draw(SETTINGS) | draw(COSTS),
        "account": draw(ACCOUNTS),
        "seed": draw(st.integers(0, 3)),
    }


def fresh(script: dict[int, list[BarOrder]]) -> Script:
    """Return copies of the orders: an order belongs to one run."""
    return {bar: [_copy(order) for order in orders] for bar, orders in script.items()}


def _copy(order: BarOrder) -> BarOrder:
    return BarOrder(
        order.symbol,
        order.side,
        order.kind,
        order.lots,
        size_ppb=order.size_ppb,
        limit=order.limit,
        stop=order.stop,
        trail_unit=order.trail_unit,
        trail_value=order.trail_value,
        limit_offset=order.limit_offset,
        activation=order.activation,
        tif=order.tif,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        oco_group=order.oco_group,
        oco_mode=order.oco_mode,
        bracket=order.bracket,
    )


def play(
    case: dict[str, Any],
    *,
    settlement: Settlement = Settlement.SPOT,
    broker: type[BarBroker] = BarBroker,
    **changes: Any,
) -> BarRun:
    case = case | changes
    columns = bar_columns(
        case["bars"],
        tick="1",
        volumes=case["volumes"],
        ends=case["ends"],
        synthetic=case["synthetic"],
        settlement=settlement,
    )
    return BarRun(
        columns,
        script=fresh(case["script"]),
        account=case["account"],
        seed=case["seed"],
        broker=broker,
        **case["settings"],
    ).run(finish=True)


@FEW
@given(cases())
def test_prices_stay_in_the_bar_and_within_their_limits(case: dict[str, Any]) -> None:
    case["settings"] = {**case["settings"], "slippage_model": "none"}
    played = play(case)
    for fill in played.fills:
        _, high, low, _ = case["bars"][fill.bar]
        assert low <= fill.ticks <= high
        if fill.order.limit is not None:
            assert fill.order.side * (fill.ticks - fill.order.limit) <= 0


@FEW
@given(cases())
def test_slippage_never_helps_and_never_passes_a_limit(case: dict[str, Any]) -> None:
    for fill in play(case).fills:
        worse = fill.side * (fill.ticks - fill.raw_ticks)
        assert worse == 0 if fill.is_maker else worse >= 0
        if fill.order.limit is not None:
            assert fill.side * (fill.ticks - fill.order.limit) <= 0


@FEW
@given(cases())
def test_pool_groups_and_quantities_are_never_exceeded(case: dict[str, Any]) -> None:
    played = play(case)
    pools: dict[int, int] = defaultdict(int)
    for fill in played.fills:
        if fill.order.role not in ("end", "liquidation"):
            pools[fill.bar] += fill.lots
        elif fill.order.role == "liquidation" and not case["account"]["intrabar_margin"]:
            pools[fill.bar] += 0
        assert fill.lots > 0
        assert (
            not case["synthetic"]
            or fill.bar not in case["synthetic"]
            or (fill.order.role in ("end", "liquidation"))
        )
    share = case["settings"]["max_participation"]
    if share is not None:
        for bar, lots in pools.items():
            volume = case["volumes"][bar]
            assert volume < 0 or lots <= Fraction(str(share)) * volume
    for order in played.broker.orders:
        assert order.filled_lots <= max(order.lots, order.filled_lots if order.is_child else 0)
        if order.group is not None and not order.is_child:
            closed = sum(child.filled_lots for child in order.group.children)
            assert closed <= order.filled_lots


@FEW
@given(cases())
def test_reduce_only_orders_never_open(case: dict[str, Any]) -> None:
    held = 0
    for fill in play(case).fills:
        if fill.order.reduce_only:
            assert held * fill.side < 0
            assert fill.lots <= abs(held)
        held += fill.side * fill.lots


@FEW
@given(cases())
def test_equity_is_what_the_fills_made(case: dict[str, Any]) -> None:
    """PF-5 against a ledger in fractions that knows nothing of the account."""
    played = play(case)
    if played.broker.is_bankrupt:
        return
    scale = played.columns[0].instrument.atoms_per_tick_lot
    cash = Fraction(played.account.initial)
    held = 0
    at = 0
    fills = played.fills
    expected = []
    for bar, (_, _, _, close) in enumerate(case["bars"]):
        is_last = bar == len(case["bars"]) - 1
        while at < len(fills) and (fills[at].bar <= bar or is_last):
            fill = fills[at]
            cash -= fill.side * fill.lots * fill.ticks * scale + fill.fee_atoms
            held += fill.side * fill.lots
            at += 1
        expected.append(cash + held * close * scale)
    assert list(played.broker.samples) == expected
    assert held == 0
    assert played.account.cash == played.account.equity


@FEW
@given(cases())
def test_spot_and_derivative_agree(case: dict[str, Any]) -> None:
    spot = play(case)
    derivative = play(case, settlement=Settlement.DERIVATIVE)
    assert fingerprint(*spot.broker.tables()) == fingerprint(*derivative.broker.tables())


@FEW
@given(cases(), st.integers(1, 8), st.lists(one_bar(), min_size=9, max_size=9))
def test_the_future_changes_nothing(case: dict[str, Any], cut: int, other: list[Bar]) -> None:
    bars = case["bars"]
    cut = min(cut, len(bars) - 1)
    changed = play(case, bars=bars[:cut] + other[cut : len(bars)])
    before = [
        (fill.order.seq, fill.bar, fill.ticks, fill.lots, fill.fee_atoms, fill.is_ambiguous)
        for played in (play(case), changed)
        for fill in played.fills
        if fill.bar < cut and fill.order.role != "end"
    ]
    half = len(before) // 2
    assert before[:half] == before[half:]


class NoTrial(BarBroker):
    """Walks every bar in the chosen order only."""

    def _match_path(self, book: SymbolBook, bar: int) -> None:
        late = [order for order in book.orders if order.join_bar == bar and order.join_point]
        high_first = self._is_high_first(book, bar)
        self._walk(book, bar, late, high_first=high_first)


class Busy(BarBroker):
    """Never skips a bar."""

    def match_one(self, symbol: int, bar: int) -> None:
        self.books[symbol].is_dirty = True
        super().match_one(symbol, bar)


@pytest.mark.parametrize("broker", [NoTrial, Busy])
@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_trials_and_short_cuts_change_nothing(
    broker: type[BarBroker], case: dict[str, Any]
) -> None:
    plain, other = play(case), play(case, broker=broker)
    assert fingerprint(*plain.broker.tables()) == fingerprint(*other.broker.tables())
    assert plain.states() == other.states()
    assert plain.broker.endings == other.broker.endings
    assert plain.broker.open_count == other.broker.open_count == 0
    assert plain.broker.liquidations == other.broker.liquidations


@FEW
@given(cases())
def test_a_fill_that_is_not_ambiguous_is_on_both_paths(case: dict[str, Any]) -> None:
    """D4: in the first bar with fills, the opposite fixed path makes the certain ones too."""
    case["settings"] = {**case["settings"], "path": "ohlc"}
    one, other = play(case), play(case, settings={**case["settings"], "path": "olhc"})
    first = min((fill.bar for played in (one, other) for fill in played.fills), default=None)
    for played, against in ((one, other), (other, one)):
        prices = {(fill.order.seq, fill.ticks) for fill in against.fills if fill.bar == first}
        for fill in played.fills:
            if fill.bar == first and not fill.is_ambiguous and fill.order.role != "end":
                assert (fill.order.seq, fill.ticks) in prices


@FEW
@given(cases())
def test_books_and_orders_agree(case: dict[str, Any]) -> None:
    broker = play(case).broker
    assert [order.seq for order in broker.orders] == list(range(len(broker.orders)))
    assert broker.books[0].orders == []
    assert broker.books[0].groups == []
    assert broker.open_orders() == []
    assert all(order.state >= FILLED for order in broker.orders)
    counted: dict[tuple[int, str], int] = defaultdict(int)
    for order in broker.orders:
        if order.state != FILLED:
            counted[order.state, order.reason] += 1
    assert dict(counted) == broker.endings
