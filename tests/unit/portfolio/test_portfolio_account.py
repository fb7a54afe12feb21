"""The account: worked examples, PF-4 to PF-6, several quote assets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.flow.errors import ConfigurationError
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import Fill, TradeType
from engine.portfolio.ledger import MarketLedger
from engine.portfolio.portfolio import LedgerImbalanceError, Portfolio

MARKET = ConnectorPair("paper", "ACME-USD")


def instrument(
    market: ConnectorPair = MARKET, settlement: Settlement = Settlement.SPOT, precision: int = 8
) -> Instrument:
    return Instrument(
        market,
        tick=Decimal("0.01"),
        lot=Decimal(1),
        settlement=settlement,
        money_precision=precision,
    )


def account(settlement: Settlement = Settlement.SPOT, cash: str = "100000") -> Portfolio:
    return Portfolio(
        instruments={MARKET: instrument(settlement=settlement)},
        initial_cash={"USD": Decimal(cash)},
        account_currency="USD",
    )


def fill(
    side: TradeType,
    lots: int,
    price: str,
    *,
    fee: str = "0",
    market: ConnectorPair = MARKET,
    fee_base_lots: int = 0,
) -> Fill:
    grid = instrument(market)
    ticks = grid.to_ticks(Decimal(price))
    return Fill(
        fill_id="F",
        client_order_id="O",
        owner_id="X",
        role="entry",
        market=market,
        side=side,
        lots=lots,
        ticks=ticks,
        notional_atoms=grid.notional_atoms(ticks, lots),
        fee_atoms=grid.to_atoms(Decimal(fee)),
        is_maker=False,
        ts_ns=0,
        fee_base_lots=fee_base_lots,
    )


def mark(portfolio: Portfolio, price: str) -> None:
    portfolio.mark(MARKET, 2 * instrument().to_ticks(Decimal(price)))


STEPS = [
    # side, quantity, price, fee, then: net, average, realised, fees, spot cash
    (TradeType.BUY, 100, "10", "1.00", 100, "10", "0", "1.00", "98999.00"),
    (TradeType.BUY, 50, "12", "0.60", 150, "10.666666667", "0", "1.60", "98398.40"),
    (TradeType.SELL, 60, "15", "0.90", 90, "10.666666667", "260", "2.50", "99297.50"),
    (TradeType.SELL, 140, "9", "1.26", -50, "9", "110", "3.76", "100556.24"),
]


@pytest.mark.parametrize("settlement", list(Settlement))
def test_worked_example(settlement: Settlement) -> None:
    portfolio = account(settlement)
    for side, lots, price, fee, net, average, realised, fees, cash in STEPS:
        portfolio.apply_fill(fill(side, lots, price, fee=fee))
        position = portfolio.position_snapshots(MARKET)[0]
        assert position.amount == net
        assert position.entry_price == Decimal(average)
        assert position.realised == Decimal(realised)
        assert position.fees == Decimal(fees)
        if settlement is Settlement.SPOT:
            assert portfolio.account_snapshot().cash["USD"] == Decimal(cash)
    mark(portfolio, "8")
    assert portfolio.position_snapshots(MARKET)[0].unrealised == 50
    assert portfolio.equity == Decimal("100156.24")


def test_worked_example_short() -> None:
    portfolio = account(cash="10000")
    portfolio.apply_fill(fill(TradeType.SELL, 100, "50", fee="1"))
    mark(portfolio, "46")
    assert portfolio.equity == 10399


def test_worked_example_margin() -> None:
    portfolio = account(Settlement.DERIVATIVE)
    portfolio.apply_fill(fill(TradeType.BUY, 4000, "100"), leverage=5)
    assert portfolio.account_snapshot().margin_used == 80_000
    mark(portfolio, "91")
    assert portfolio.equity == 64_000
    mark(portfolio, "78")
    assert portfolio.equity == 12_000


def test_equity_at_a_mid_between_two_atoms_is_exact() -> None:
    grid = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1), money_precision=2)
    portfolio = Portfolio(
        instruments={MARKET: grid},
        initial_cash={"USD": Decimal(100)},
        account_currency="USD",
        money_precision=2,
    )
    portfolio.apply_fill(
        Fill("F", "O", "X", "entry", MARKET, TradeType.BUY, 1, 1000, 1000, 0, False, 0)
    )
    portfolio.mark(MARKET, 1000 + 1001)
    assert portfolio.equity == Decimal("100.005")
    assert portfolio.account_snapshot().unrealised == Decimal("0.005")
    assert (portfolio.equity_atoms, portfolio.unrealised_atoms) == (10_000, 0)
    assert portfolio.position_snapshots(MARKET)[0].mark_price == Decimal("10.005")


def test_quote_assets_of_parity_share_one_equity_but_not_their_cash() -> None:
    dollars, tethers = ConnectorPair("a", "EUR-USD"), ConnectorPair("b", "BTC-USDT")
    portfolio = Portfolio(
        instruments={market: instrument(market) for market in (dollars, tethers)},
        initial_cash={"USD": Decimal(100), "USDT": Decimal(50)},
        account_currency="USD",
        parity=["USDT"],
    )
    portfolio.apply_fill(fill(TradeType.BUY, 2, "10", market=tethers))
    snapshot = portfolio.account_snapshot()
    assert snapshot.cash == {"USD": Decimal(100), "USDT": Decimal(30)}
    assert snapshot.equity == snapshot.initial_equity == 150
    assert portfolio.base_balance("BTC") == 2
    assert portfolio.base_balance("EUR") == 0


def test_a_fee_taken_in_base_leaves_the_position_at_the_fill_price() -> None:
    portfolio = account()
    portfolio.apply_fill(fill(TradeType.BUY, 100, "10", fee="10", fee_base_lots=1))
    assert portfolio.net_lots(MARKET) == 99
    snapshot = portfolio.account_snapshot()
    # The fee's value was paid in base, so cash paid the notional only.
    assert snapshot.cash["USD"] == 99_000
    assert snapshot.equity == 99_990


def test_a_quote_asset_without_a_rate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no rate from USD to EUR"):
        Portfolio(instruments={MARKET: instrument()}, initial_cash={}, account_currency="EUR")
    with pytest.raises(ConfigurationError, match="initial cash 5 GBP: no rate from GBP to USD"):
        Portfolio(
            instruments={MARKET: instrument()},
            initial_cash={"GBP": Decimal(5)},
            account_currency="USD",
        )


def test_one_precision_for_all() -> None:
    with pytest.raises(ConfigurationError, match="money_precision 4 differs from the account's 8"):
        Portfolio(
            instruments={MARKET: instrument(precision=4)}, initial_cash={}, account_currency="USD"
        )


@pytest.mark.parametrize("cash", ["0.000000001", "NaN", "Infinity"])
def test_initial_cash_is_whole_atoms(cash: str) -> None:
    with pytest.raises(ConfigurationError, match="not a whole number of 1e-8"):
        account(cash=cash)


def test_a_fill_that_contradicts_itself_stops_the_run() -> None:
    wrong = Fill("F", "O", "X", "entry", MARKET, TradeType.BUY, 1, 100, 7, 0, False, 0)
    with pytest.raises(LedgerImbalanceError, match="fill F: 1 lots at 100 ticks"):
        account().apply_fill(wrong)
    empty = Fill("F", "O", "X", "entry", MARKET, TradeType.BUY, 0, 100, 0, 0, False, 0)
    with pytest.raises(LedgerImbalanceError, match="0 lots"):
        account().apply_fill(empty)


def test_broken_books_are_noticed() -> None:
    portfolio = account()
    portfolio.apply_fill(fill(TradeType.BUY, 1, "10"))
    ledger = portfolio.ledgers[MARKET]
    assert isinstance(ledger, MarketLedger)
    ledger.cost_atoms += 1
    with pytest.raises(LedgerImbalanceError, match="the ledger is broken"):
        portfolio.check_identity()


def test_flat_positions_have_no_entry_price_and_unmarked_ones_no_mark() -> None:
    position = account().position_snapshots(MARKET)[0]
    assert (position.entry_price, position.mark_price, position.market) == (None, None, MARKET)
    assert account().account_snapshot().positions == (position,)


def test_snapshots_do_not_change_with_the_account() -> None:
    portfolio = account()
    before = portfolio.account_snapshot()
    portfolio.apply_fill(fill(TradeType.BUY, 1, "10", fee="1"))
    assert before.equity == before.initial_equity == portfolio.account_snapshot().equity + 1
    assert before.realised == before.fees == 0
    assert portfolio.cash_of("USD") == portfolio.cash_atoms
    assert portfolio.initial_atoms == before.initial_atoms
    assert portfolio.cash_of("EUR") == 0
