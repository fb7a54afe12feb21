"""Account of a backtest: PF-1 to PF-12, and the worked numbers of 11.4."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from engine.execution.commission import ChargedOrder, PercentCommission
from engine.flow.errors import ConfigurationError
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.portfolio.account_settings import AccountKind, AccountSettings, TradeMatching
from engine.portfolio.bar_account import BarAccount, ConservationError

KINDS = [Settlement.SPOT, Settlement.DERIVATIVE]


def instrument(settlement: Settlement, *, lot: str = "1", tick: str = "0.01") -> Instrument:
    return Instrument(
        ConnectorPair("backtest", "X"), tick=Decimal(tick), lot=Decimal(lot), settlement=settlement
    )


def account(
    settlement: Settlement = Settlement.SPOT, *, lot: str = "1", **settings: object
) -> BarAccount:
    return BarAccount(
        instruments=[instrument(settlement, lot=lot)],
        settings=AccountSettings.model_validate(settings),
    )


def money(atoms: int) -> Decimal:
    return Decimal(atoms).scaleb(-8)


def trade(one: BarAccount, side: int, lots: int, price: object, fee: int = 0) -> int:
    ticks = int(Decimal(str(price)) * 100)
    if not one.positions[0].has_mark:
        one.mark(0, ticks)
    realised = one.book_fill(0, side, lots, ticks, fee)
    one.check()
    return realised


@pytest.mark.parametrize("settlement", KINDS)
def test_worked_example_of_11_4(settlement: Settlement) -> None:
    one = account(settlement)
    model = PercentCommission(1_000_000)
    grid = one.positions[0].instrument
    table = [
        (1, 100, 10, 100, "10", "0", "1.00", "98999.00"),
        (1, 50, 12, 150, "10.666666667", "0", "1.60", "98398.40"),
        (-1, 60, 15, 90, "10.666666667", "260", "2.50", "99297.50"),
        (-1, 140, 9, -50, "9", "110", "3.76", "100556.24"),
    ]
    for side, lots, price, qty, average, realised, fees, cash in table:
        notional = grid.notional_atoms(price * 100, lots)
        fee = model.fee_atoms(grid, ChargedOrder(), notional, is_maker=False)
        trade(one, side, lots, price, fee)
        position = one.positions[0]
        assert position.lots == qty
        assert position.average_price == Decimal(average).quantize(Decimal("1e-9"))
        assert money(one.realised) == Decimal(realised)
        assert money(one.fees) == Decimal(fees)
        if settlement is Settlement.SPOT:
            assert money(one.cash) == Decimal(cash)
    one.mark(0, 800)
    one.check()
    assert money(one.positions[0].unrealised) == 50
    assert money(one.equity) == Decimal("100156.24")


@pytest.mark.parametrize("settlement", KINDS)
def test_margin_of_11_4(settlement: Settlement) -> None:
    one = account(settlement, leverage=5)
    trade(one, 1, 4000, 100)
    assert one.used_notional() // 5 == 80_000 * 10**8
    assert money(one.free_atoms()) == 20_000
    one.mark(0, 9100)
    assert money(one.equity) == 64_000
    assert not one.is_below_maintenance()
    one.mark(0, 7800)
    assert money(one.equity) == 12_000
    assert one.is_below_maintenance()


@pytest.mark.parametrize("settlement", KINDS)
def test_short_of_11_4(settlement: Settlement) -> None:
    one = account(settlement, initial_cash=10_000)
    trade(one, -1, 100, 50, fee=10**8)
    one.mark(0, 4600)
    assert money(one.equity) == 10_399


def test_funding_of_11_4_and_pf_9_rounding() -> None:
    one = account(Settlement.DERIVATIVE)
    trade(one, 1, 2, 30_000)
    assert money(one.pay_funding(0, 100_000)) == 6
    assert money(one.funding) == 6
    one.check()
    trade(one, -1, 4, 30_000)
    assert money(one.pay_funding(0, 100_000)) == -6
    tiny = BarAccount(
        instruments=[instrument(Settlement.DERIVATIVE, lot="0.000001")], settings=AccountSettings()
    )
    tiny.mark(0, 3)
    tiny.book_fill(0, 1, 1, 3, 0)
    # 3 atoms at 10 %: a payment is rounded up, a receipt down.
    assert (tiny.pay_funding(0, 10**8), tiny.pay_funding(0, -(10**8))) == (1, 0)


@pytest.mark.parametrize("settlement", KINDS)
def test_pf_2_partial_closes_are_rounded_half_even_and_the_last_takes_the_rest(
    settlement: Settlement,
) -> None:
    one = BarAccount(
        instruments=[instrument(settlement, lot="0.000001")], settings=AccountSettings()
    )
    one.mark(0, 1)
    # Cost of 3 lots: 1 + 1 + 3 = 5 atoms; a third is 1.67, rounded to 2.
    for ticks in (1, 1, 3):
        one.book_fill(0, 1, 1, ticks, 0)
    costs = [one.positions[0].cost]
    for _ in range(3):
        one.book_fill(0, -1, 1, 5, 0)
        one.check()
        costs.append(one.positions[0].cost)
    assert costs == [5, 3, 1, 0]
    assert one.realised == 10


def test_pf_2_a_fill_through_zero_opens_the_rest_at_its_price() -> None:
    one = account()
    trade(one, 1, 10, 10)
    assert money(trade(one, -1, 15, 12)) == 20
    position = one.positions[0]
    assert position.lots == -5
    assert money(position.cost) == 60
    assert position.average_price == 12
    assert position.value == -5 * 1000 * position.scale


def test_pf_4_spot_and_derivative_have_equal_equity() -> None:
    spot, derivative = (account(kind) for kind in KINDS)
    for side, lots, price in ((1, 10, 10), (-1, 4, 12), (-1, 9, 9), (1, 3, 8)):
        for one in (spot, derivative):
            trade(one, side, lots, price, fee=7)
            one.mark(0, price * 100 + 13)
            one.check()
        assert spot.equity == derivative.equity
        assert (spot.cash == derivative.cash) is (spot.positions[0].lots == 0)


def test_pf_5_a_wrong_number_aborts() -> None:
    one = account()
    one.cash += 1
    with pytest.raises(ConservationError, match="PF-5"):
        one.check()
    one.cash -= 1
    one.equity += 1
    with pytest.raises(ConservationError):
        one.check()


def test_pf_8_and_pf_11_days() -> None:
    one = account(initial_cash=10_000, borrow_rate_pct="3.65", interest_rate="0.0365")
    assert one.charges_days
    trade(one, -1, 100, 50)
    one.end_days(2)
    # 5,000 * 3.65 % / 365 = 0.50 a day; the cash is positive.
    assert money(one.borrow) == 1
    assert one.interest == 0
    one.check()
    long = account(initial_cash=10_000, leverage=3, interest_rate="0.0365")
    trade(long, 1, 300, 100)
    long.end_days(1)
    assert money(long.cash) == -20_002
    assert money(long.interest) == -2
    long.check()
    assert not account().charges_days


def test_pf_10_splits_and_dividends() -> None:
    for settlement in KINDS:
        one = account(settlement)
        trade(one, 1, 7, 90)
        assert one.split(0, 3, 2) == 30 * 10**8
        position = one.positions[0]
        # 7 * 3/2 = 10.5: half a lot at 60 is 30, the price becomes 60.
        assert (position.lots, position.mark) == (10, 6000)
        assert money(one.equity) == 100_000
        assert money(position.cost) == 600
        one.check()
        assert money(one.pay_dividend(0, 150_000_000)) == 15
        one.check()
        trade(one, -1, 12, 60)
        assert money(one.pay_dividend(0, 150_000_000)) == -3
        assert one.split(0, 1, 4) == -(120 * 10**8)
        assert (one.positions[0].lots, one.positions[0].cost) == (0, 0)
        one.check()
        assert money(one.dividends) == 12


def test_reset_and_memory() -> None:
    one = account()
    memory = one.memory()
    trade(one, 1, 7, 90, fee=5)
    later = one.memory()
    one.restore(memory)
    assert (one.cash, one.equity, one.has_positions) == (one.initial, one.initial, False)
    one.restore(later)
    assert one.positions[0].lots == 7
    one.check()
    one.reset()
    assert one.memory() == memory
    assert one.positions[0].average_price is None


def test_settings() -> None:
    settings = AccountSettings.model_validate({"account": "cash", "trade_matching": "flat"})
    assert (settings.account, settings.trade_matching) == (AccountKind.CASH, TradeMatching.FLAT)
    assert AccountSettings(liquidation_fee=Decimal("0.01")) == AccountSettings.model_validate(
        {"liquidation_fee_bps": 100}
    )
    assert not account(account="cash").is_margin


@pytest.mark.parametrize(
    "values",
    [
        {"account": "cash", "leverage": 2},
        {"leverage": "0.5"},
        {"initial_cash": 0},
        {"initial_cash": 10**11},
        {"money_precision": 1},
        {"borrow_rate": 1},
        {"equity": 1},
        {"maintenance_ratio": "0.0000000001"},
    ],
)
def test_bad_settings(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AccountSettings.model_validate(values)


def test_unit_2_all_money_has_the_same_atoms() -> None:
    with pytest.raises(ConfigurationError, match="money_precision 8 is not the account's 6"):
        account(money_precision=6)
