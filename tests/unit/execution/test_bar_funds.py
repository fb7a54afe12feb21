"""Volume and funds: FILL-25 to FILL-30."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from engine.execution.bar_order import LIMIT, MARKET, STOP, BarOrder
from engine.execution.order_manager import OverFillError
from engine.execution.size_search import largest_fitting
from engine.flow.errors import OperationError
from engine.model.instruments import Settlement
from engine.testing.bar_run import BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)
KINDS = [Settlement.SPOT, Settlement.DERIVATIVE]


def play(
    script: Script,
    *bars: tuple[float, float, float, float],
    cash: object = 100_000,
    leverage: object = 1,
    account: str = "margin",
    settlement: Settlement = Settlement.SPOT,
    lot: str = "1",
    **settings: Any,
) -> BarRun:
    columns = bar_columns(list(bars), settlement=settlement, lot=lot)
    money = {"initial_cash": cash, "leverage": leverage, "account": account}
    return BarRun(columns, script=script, account=money, **settings).run()


def fills(played: BarRun) -> list[tuple[int, int, int]]:
    return [(fill.order.seq, fill.lots, fill.ticks) for fill in played.fills]


def test_fill_25_the_pool_is_shared_by_makers_and_takers_in_match_order() -> None:
    columns = bar_columns([FLAT, UP, FLAT], volumes=[0, 21, 100])
    script: Script = {0: [BarOrder(0, 1, MARKET, 7), BarOrder(0, 1, LIMIT, 7, limit=10200)]}
    played = BarRun(columns, script=script, max_participation="0.5").run()
    # floor(21 * 0.5) = 10: 7 at the open, 3 at the limit; the limit's rest makes at bar 2's open.
    assert fills(played) == [(0, 7, 10300), (1, 3, 10200), (1, 4, 10000)]
    assert played.fills[2].is_maker
    assert played.broker.orders[1].status.name == "FILLED"


def test_fill_25_participation_is_exact_in_ppb() -> None:
    # 0.29 * 100 is 28.999999999999996 in floats.
    columns = bar_columns([FLAT, FLAT], volumes=[0, 100])
    script: Script = {0: [BarOrder(0, 1, MARKET, 50)]}
    assert fills(BarRun(columns, script=script, max_participation="0.29").run())[0][1] == 29
    columns = bar_columns([FLAT, FLAT], volumes=[0, 100])
    script = {0: [BarOrder(0, 1, MARKET, 50)]}
    assert fills(BarRun(columns, script=script, max_participation_pct=29).run())[0][1] == 29


@pytest.mark.parametrize(
    ("mode", "lots", "state"),
    [
        ("unlimited", [5], ("FILLED", "")),
        ("reject", [], ("REJECTED", "VENUE:UNKNOWN_VOLUME")),
    ],
)
def test_fill_25_unknown_volume(mode: str, lots: list[int], state: tuple[str, str]) -> None:
    columns = bar_columns([FLAT, FLAT], volumes=[-1, -1])
    script: Script = {0: [BarOrder(0, 1, MARKET, 5)]}
    played = BarRun(columns, script=script, max_participation=1, unknown_volume=mode).run()
    assert [fill.lots for fill in played.fills] == lots
    assert played.states() == [state]
    assert played.broker.unknown_volume_fills == len(lots)
    # Without a constraint nobody asks for the volume.
    script = {0: [BarOrder(0, 1, MARKET, 5)]}
    assert len(BarRun(columns, script=script, unknown_volume="reject").run().fills) == 1


def test_a_partial_order_on_a_bar_of_unknown_volume_is_cancelled() -> None:
    columns = bar_columns([FLAT] * 3, volumes=[-1, 4, -1])
    script: Script = {0: [BarOrder(0, 1, MARKET, 5)]}
    played = BarRun(columns, script=script, max_participation=1, unknown_volume="reject").run()
    assert played.states() == [("CANCELLED", "NO_LIQUIDITY")]


def test_fill_26_and_27_a_triggered_stop_goes_on_at_the_next_open() -> None:
    columns = bar_columns([FLAT, UP, (101, 102, 100, 101)], volumes=[0, 4, 100])
    script: Script = {0: [BarOrder(0, 1, STOP, 5, stop=10400)]}
    played = BarRun(columns, script=script, max_participation="0.5", market_basis="close").run()
    assert fills(played) == [(0, 2, 10400), (0, 3, 10100)]
    order = played.broker.orders[0]
    assert order.is_triggered
    assert Decimal(order.price_lots) / order.filled_lots == Decimal(10220)
    assert not played.fills[1].is_maker


@pytest.mark.parametrize("settlement", KINDS)
@pytest.mark.parametrize(
    ("lots", "state"), [(1000, ("FILLED", "")), (1001, ("REJECTED", "INSUFFICIENT_FUNDS"))]
)
def test_fill_28_equality_fits(lots: int, state: tuple[str, str], settlement: Settlement) -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, lots)]}
    assert play(script, FLAT, FLAT, settlement=settlement).states() == [state]


def test_fill_28_the_fee_counts() -> None:
    fee = {"kind": "per_trade", "flat": 100}
    script: Script = {0: [BarOrder(0, 1, MARKET, 1000)]}
    assert play(script, FLAT, FLAT, commission_model=fee).states()[0][1] == "INSUFFICIENT_FUNDS"
    script = {0: [BarOrder(0, 1, MARKET, 999)]}
    assert play(script, FLAT, FLAT, commission_model=fee).states()[0][0] == "FILLED"


def test_fill_28_used_margin_is_marked_at_the_path() -> None:
    # L 2: 1,500 lots use 75,000 of 100,000; at an open of 110 equity is 115,000, used 82,500.
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 1500)],
        1: [BarOrder(0, 1, MARKET, 590), BarOrder(0, 1, MARKET, 1)],
    }
    played = play(script, FLAT, FLAT, (110, 110, 110, 110), leverage=2)
    # (115,000 - 82,500) * 2 / 110 = 590.9
    assert played.states() == [("FILLED", ""), ("FILLED", ""), ("REJECTED", "INSUFFICIENT_FUNDS")]


def test_fill_28_a_cash_account_pays_with_cash() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 600)],
        1: [BarOrder(0, 1, MARKET, 334)],
        2: [BarOrder(0, 1, MARKET, 333)],
    }
    bar = (120, 120, 120, 120)
    played = play(script, FLAT, FLAT, bar, bar, account="cash")
    # The position gained 12,000, the cash is still 40,000: 333 lots of 120 fit.
    assert [state for state, _ in played.states()] == ["FILLED", "REJECTED", "FILLED"]


@pytest.mark.parametrize("settlement", KINDS)
@pytest.mark.parametrize(
    ("mode", "lots", "state"),
    [
        ("reject", [1000], ("CANCELLED", "INSUFFICIENT_FUNDS")),
        ("trim", [2000], ("CANCELLED", "INSUFFICIENT_FUNDS")),
    ],
)
def test_fill_28_and_29_the_reducing_part_always_executes(
    mode: str, lots: list[int], state: tuple[str, str], settlement: Settlement
) -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, 1000)], 1: [BarOrder(0, -1, MARKET, 2001)]}
    played = play(script, FLAT, FLAT, FLAT, insufficient_funds=mode, settlement=settlement)
    assert [fill.lots for fill in played.fills[1:]] == lots
    assert played.states()[1] == state


def test_fill_29_trim_fills_what_fits() -> None:
    fee = {"kind": "percent", "rate": "0.001"}
    script: Script = {0: [BarOrder(0, 1, MARKET, 5000)]}
    played = play(script, FLAT, FLAT, insufficient_funds="trim", commission_model=fee)
    # 999 * 100 * 1.001 = 99,999.9
    assert fills(played) == [(0, 999, 10000)]
    assert played.states() == [("CANCELLED", "INSUFFICIENT_FUNDS")]
    script = {0: [BarOrder(0, 1, MARKET, 5)]}
    assert play(script, FLAT, FLAT, cash=10, insufficient_funds="trim").states() == [
        ("REJECTED", "INSUFFICIENT_FUNDS")
    ]


@pytest.mark.parametrize("settlement", KINDS)
@pytest.mark.parametrize(
    ("share", "leverage", "lots"),
    [(10**9, 1, 999), (5 * 10**8, 1, 499), (10**9, 3, 2991), (10**9, "2.5", 2493)],
)
def test_fill_30_size_pct_takes_a_share_of_the_free_funds(
    share: int, leverage: object, lots: int, settlement: Settlement
) -> None:
    fee = {"kind": "percent", "rate": "0.001"}
    script: Script = {0: [BarOrder(0, 1, MARKET, size_ppb=share)]}
    played = play(
        script, FLAT, FLAT, leverage=leverage, commission_model=fee, settlement=settlement
    )
    assert [fill.lots for fill in played.fills] == [lots]
    # One lot more would not fit: lots*100/L + fee(lots) <= f * 100000.
    price = Decimal(100)
    free = Decimal(share) / 10**9 * 100_000
    for size, fits in ((lots, True), (lots + 1, False)):
        notional = size * price
        assert (notional / Decimal(str(leverage)) + notional / 1000 <= free) is fits
    assert played.broker.orders[0].lots == lots


def test_fill_30_a_share_of_nothing_is_rejected() -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, size_ppb=10**9)]}
    assert play(script, FLAT, FLAT, cash=99).states() == [("REJECTED", "INSUFFICIENT_FUNDS")]


def test_fill_30_reversing_by_share_closes_first() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, size_ppb=10**9)],
        1: [BarOrder(0, -1, MARKET, size_ppb=10**9)],
    }
    played = play(script, FLAT, FLAT, (110, 110, 110, 110))
    # 1,000 lots closed with 10,000 gained; 110,000 buys 1,000 at 110.
    assert [fill.lots for fill in played.fills] == [1000, 2000]
    script = {
        0: [BarOrder(0, 1, MARKET, 10)],
        1: [BarOrder(0, -1, MARKET, size_ppb=5 * 10**8, reduce_only=True)],
    }
    assert [fill.lots for fill in play(script, FLAT, FLAT, FLAT).fills] == [10, 5]


def test_fill_30_with_a_price_that_depends_on_the_size() -> None:
    slip = {"kind": "variable", "base": "0.01", "size_impact": 10, "random": 0, "vol_impact": 0}
    script: Script = {0: [BarOrder(0, 1, MARKET, size_ppb=10**9)]}
    played = play(script, FLAT, FLAT, slippage_model=slip)
    fill = played.fills[0]
    # 100 * (1 + 0.01 * (1 + q/1000)): q = 981 costs 101.98 each, 982 would be too many.
    assert (fill.lots, fill.ticks) == (980, 10198)
    assert fill.lots * fill.ticks <= 10_000_000 < 981 * 10199


def test_fill_30_and_tiers_whose_fee_falls() -> None:
    fee = {"kind": "tiered", "tiers": [[0, "0.05"], [99_000, "0.001"]], "min": 0}
    script: Script = {0: [BarOrder(0, 1, MARKET, size_ppb=10**9)]}
    played = play(script, FLAT, FLAT, commission_model=fee)
    # 952 lots is the most of the dear tier, but 999 fit in the cheap one.
    assert [fill.lots for fill in played.fills] == [999]


@pytest.mark.parametrize("truth", [0, 1, 2, 7, 99, 100])
@pytest.mark.parametrize("guess", [-5, 0, 1, 50, 99, 100, 1000])
def test_the_search_finds_the_largest(truth: int, guess: int) -> None:
    calls = 0

    def fits(lots: int) -> bool:
        nonlocal calls
        calls += 1
        return lots <= truth

    assert largest_fitting(fits, guess, 100) == truth
    assert calls <= 20


def test_the_search_knows_where_a_fee_falls() -> None:
    def fits(lots: int) -> bool:
        return lots <= 3 or 10 <= lots <= 12

    assert largest_fitting(fits, 3, 100, [10]) == 12
    assert largest_fitting(lambda lots: lots <= 3, 3, 100, [10, 200, 0]) == 3
    assert largest_fitting(fits, 3, 0, [10]) == 0


def test_a_cash_account_cannot_go_short_at_the_fill() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5)],
        1: [BarOrder(0, -1, LIMIT, 5, limit=11000)],
        2: [BarOrder(0, -1, MARKET, 3, reduce_only=True)],
    }
    played = play(script, FLAT, FLAT, FLAT, (111, 111, 111, 111), account="cash")
    assert fills(played)[1:] == [(1, 5, 11100)]
    assert played.states()[1:] == [("FILLED", ""), ("CANCELLED", "REDUCE_ONLY")]
    script = {
        0: [BarOrder(0, 1, MARKET, 5)],
        1: [BarOrder(0, -1, STOP, 5, stop=9000)],
        2: [BarOrder(0, -1, MARKET, 3, reduce_only=True)],
    }
    played = play(script, FLAT, FLAT, FLAT, FLAT, (89, 89, 89, 89), account="cash")
    assert fills(played)[1:] == [(2, 3, 10000), (1, 2, 8900)]
    assert played.states()[1] == ("CANCELLED", "SHORT_NOT_ALLOWED")


def test_an_over_fill_raises_in_simulation() -> None:
    played = play({}, FLAT)
    order = BarOrder(0, 1, MARKET, 5)
    played.broker.submit(order, now_ns=1)
    with pytest.raises(OverFillError, match="bt-O00000000: 6 lots"):
        played.broker._fill(
            played.broker.books[0], order, lots=6, ticks=1, raw=1, fee=0, is_maker=False
        )
    assert played.fills == []


def test_what_a_cash_account_has_no_position_for() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5)],
        1: [BarOrder(0, -1, STOP, 5, stop=9000)],
        2: [
            BarOrder(0, -1, MARKET, size_ppb=1),
            BarOrder(0, -1, STOP, size_ppb=10**9, stop=9000, reduce_only=True),
        ],
    }
    played = play(script, FLAT, FLAT, FLAT, FLAT, (89, 89, 89, 89), account="cash")
    # A share of the funds that may not go short sells what there is.
    assert fills(played)[1:] == [(2, 5, 10000)]
    assert played.states()[1:] == [
        ("REJECTED", "SHORT_NOT_ALLOWED"),
        ("FILLED", ""),
        ("CANCELLED", "REDUCE_ONLY"),
    ]


def test_a_price_of_zero_bounds_no_size() -> None:
    bars = [(1, 1, -1, 0), (0, 1, -1, 1)]
    script: Script = {0: [BarOrder(0, 1, MARKET, size_ppb=10**9), BarOrder(0, 1, MARKET, 7)]}
    played = play(script, *bars, insufficient_funds="trim")
    assert played.states() == [("REJECTED", "INSUFFICIENT_FUNDS"), ("FILLED", "")]
    assert fills(played) == [(1, 7, 0)]


@pytest.mark.parametrize("single", [True, False])
def test_an_equity_beyond_64_bits_is_told(*, single: bool) -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, 10**9)]}
    columns = bar_columns([(1, 1, 0, 0), (0, 100_000_000, 0, 100_000_000)])
    played = BarRun(columns, script=script)
    broker = played.broker
    broker.mark([(0, 0)])
    played._play(0, 1)
    broker.match([(0, 1)])
    mark = partial(broker.mark_one, 0, 1) if single else partial(broker.mark, [(0, 1)])
    with pytest.raises(OperationError, match="money_precision"):
        mark()
