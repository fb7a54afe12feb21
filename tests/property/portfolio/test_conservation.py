"""Conservation: nothing appears and nothing is lost over any sequence of fills and marks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import Fill, TradeType
from engine.portfolio.portfolio import Portfolio

INITIAL = 10**15
MARKETS = (ConnectorPair("a", "ONE-USD"), ConnectorPair("b", "TWO-USDT"))


@dataclass(frozen=True)
class Step:
    market: ConnectorPair
    is_fill: bool
    side: TradeType
    lots: int
    ticks: int
    fee_atoms: int
    leverage: int
    mark_twice: int


steps = st.lists(
    st.builds(
        Step,
        market=st.sampled_from(MARKETS),
        is_fill=st.booleans(),
        side=st.sampled_from([TradeType.BUY, TradeType.SELL]),
        lots=st.integers(1, 50),
        ticks=st.integers(1, 5000),
        fee_atoms=st.integers(-50, 500),
        leverage=st.integers(1, 50),
        mark_twice=st.integers(1, 10_000),
    ),
    max_size=40,
)


def account(settlement: Settlement, *, is_hedged: bool = False) -> Portfolio:
    return Portfolio(
        instruments={
            MARKETS[0]: Instrument(
                MARKETS[0],
                tick=Decimal("0.01"),
                lot=Decimal("0.01"),
                settlement=settlement,
                is_hedged=is_hedged,
            ),
            MARKETS[1]: Instrument(
                MARKETS[1],
                tick=Decimal("0.00000001"),
                lot=Decimal(3),
                settlement=settlement,
                is_hedged=is_hedged,
            ),
        },
        initial_cash={"USD": Decimal(INITIAL).scaleb(-8)},
        account_currency="USD",
        parity=["USDT"],
    )


def play(portfolio: Portfolio, step: Step, *, is_closing: bool = False) -> None:
    if not step.is_fill:
        portfolio.mark(step.market, step.mark_twice)
        return
    scale = portfolio.ledgers[step.market].scale
    portfolio.apply_fill(
        Fill(
            fill_id="F",
            client_order_id="O",
            owner_id="X",
            role="entry",
            market=step.market,
            side=step.side,
            lots=step.lots,
            ticks=step.ticks,
            notional_atoms=step.ticks * step.lots * scale,
            fee_atoms=step.fee_atoms,
            is_maker=False,
            ts_ns=0,
        ),
        leverage=step.leverage,
        is_closing=is_closing,
    )


@given(steps)
def test_spot_and_derivative_have_equal_equity_for_equal_fills(sequence: list[Step]) -> None:
    spot, derivative = account(Settlement.SPOT), account(Settlement.DERIVATIVE)
    for step in sequence:
        play(spot, step)
        play(derivative, step)
        assert spot.equity_twice == derivative.equity_twice
        assert spot.unrealised_twice == derivative.unrealised_twice
        assert spot.realised_atoms == derivative.realised_atoms


@given(steps, st.sampled_from(list(Settlement)))
def test_equity_is_initial_plus_results_minus_fees(
    sequence: list[Step], settlement: Settlement
) -> None:
    portfolio = account(settlement)
    for step in sequence:
        play(portfolio, step)
        portfolio.check_identity()
        result = INITIAL + portfolio.realised_atoms - portfolio.fees_atoms
        assert portfolio.equity_twice == 2 * result + portfolio.unrealised_twice


@given(steps)
def test_fills_and_fees_equal_the_change_of_cash_and_positions(sequence: list[Step]) -> None:
    portfolio = account(Settlement.SPOT)
    cash, lots = dict.fromkeys(("USD", "USDT"), 0), dict.fromkeys(MARKETS, 0)
    for step in sequence:
        play(portfolio, step)
        if step.is_fill:
            scale = portfolio.ledgers[step.market].scale
            sign = step.side.sign
            cash[step.market.quote] -= sign * step.lots * step.ticks * scale + step.fee_atoms
            lots[step.market] += sign * step.lots
    assert portfolio.cash_of("USD") == INITIAL + cash["USD"]
    assert portfolio.cash_of("USDT") == cash["USDT"]
    assert {market: portfolio.net_lots(market) for market in MARKETS} == lots


@given(steps)
def test_equity_is_that_of_an_independent_model(sequence: list[Step]) -> None:
    """Cash in Fractions and the value of what is held, without cost, result or netting."""
    portfolio = account(Settlement.DERIVATIVE)
    cash = Fraction(INITIAL)
    held, marks = dict.fromkeys(MARKETS, 0), dict.fromkeys(MARKETS, Fraction(0))
    for step in sequence:
        play(portfolio, step)
        scale = portfolio.ledgers[step.market].scale
        if step.is_fill:
            cash -= step.side.sign * step.lots * step.ticks * scale + step.fee_atoms
            held[step.market] += step.side.sign * step.lots
            marks[step.market] = marks[step.market] or Fraction(step.ticks)
        else:
            marks[step.market] = Fraction(step.mark_twice, 2)
    value = sum(held[key] * marks[key] * portfolio.ledgers[key].scale for key in MARKETS)
    assert portfolio.equity == Decimal(int(2 * (cash + value)) * 5).scaleb(-9)


@given(steps)
def test_a_flat_account_has_only_realised_results(sequence: list[Step]) -> None:
    portfolio = account(Settlement.DERIVATIVE)
    for step in sequence:
        play(portfolio, step)
    for market in MARKETS:
        net = portfolio.net_lots(market)
        if net:
            side = TradeType.SELL if net > 0 else TradeType.BUY
            play(portfolio, Step(market, True, side, abs(net), 77, 3, 1, 0))
    assert portfolio.unrealised_twice == portfolio.margin_used_atoms == 0
    assert all(ledger.cost_atoms == 0 for ledger in portfolio.ledgers.values())
    assert portfolio.equity_atoms == INITIAL + portfolio.realised_atoms - portfolio.fees_atoms


@given(steps, st.lists(st.booleans(), min_size=40, max_size=40))
def test_hedged_positions_are_worth_what_the_netted_one_is(
    sequence: list[Step], closings: list[bool]
) -> None:
    netted = account(Settlement.DERIVATIVE)
    hedged = account(Settlement.DERIVATIVE, is_hedged=True)
    for market in MARKETS:
        netted.mark(market, 5000)
        hedged.mark(market, 5000)
    for step, is_closing in zip(sequence, closings, strict=False):
        play(netted, step)
        play(hedged, step, is_closing=is_closing)
        assert hedged.equity_twice == netted.equity_twice
        assert hedged.fees_atoms == netted.fees_atoms
        for market in MARKETS:
            long, short = hedged.position_snapshots(market)
            assert long.net_lots + short.net_lots == netted.net_lots(market)
            assert (long.side.name, short.side.name) == ("LONG", "SHORT")
        # What is split into realised and unrealised differs, their sum does not.
        assert 2 * hedged.realised_atoms + hedged.unrealised_twice == (
            2 * netted.realised_atoms + netted.unrealised_twice
        )
