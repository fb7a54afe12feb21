from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from engine.backtest.trade_log import (
    OpenLots,
    TradeLog,
    TradeMatching,
    build_trades,
    consistency_gap,
    open_pnl_atoms,
    trade_returns,
)
from engine.model.bar_columns import DAY_NS, BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.market_events import CorporateAction, CorporateActionKind
from engine.model.run_tables import FILL_DTYPE, FILL_REASONS, Table

ATOM = 10**8
"""One unit of currency; the tick and the lot are 1, so it is a tick of a lot too."""


def columns(bars: Sequence[tuple[int, int, int, int]], symbol: str = "A") -> BarColumns:
    opens = np.arange(len(bars), dtype=np.int64) * DAY_NS
    opening, high, low, close = (np.array(one, dtype=np.int64) for one in zip(*bars, strict=True))
    starts, ends = day_sessions(opens, opens + DAY_NS)
    return BarColumns(
        instrument=Instrument(ConnectorPair("backtest", symbol), Decimal(1), Decimal(1)),
        symbol=symbol,
        duration_ns=DAY_NS,
        ts_open=opens,
        ts_close=opens + DAY_NS,
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=np.full(len(bars), -1, dtype=np.int64),
        is_synthetic=np.zeros(len(bars), dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
    )


BARS = columns([(10, 12, 9, 11), (12, 13, 11, 12), (15, 16, 14, 15), (9, 10, 8, 8)])


def fills(*rows: tuple[int, int, int, float], symbol: int = 0) -> Table:
    """Make fills (bar, signed lots, ticks, fee in currency) at the open points of BARS."""
    table = np.zeros(len(rows), dtype=FILL_DTYPE)
    for seq, (bar, lots, ticks, fee) in enumerate(rows):
        table[seq] = (
            bar * DAY_NS,
            bar,
            seq,
            symbol,
            1 if lots > 0 else -1,
            1,
            abs(lots),
            ticks,
            round(fee * ATOM),
            0,
            0,
            0 if lots > 0 else 1,
        )
    return table


WORKED = fills((0, 100, 10, 1.0), (1, 50, 12, 0.6), (2, -60, 15, 0.9), (3, -140, 9, 1.26))
"""The worked example of the trade log."""


def gross(log: TradeLog) -> list[float]:
    return [atoms / ATOM for atoms in log.trades["gross_atoms"].tolist()]


def test_the_worked_example_first_in_first_out_pf_7() -> None:
    log = build_trades(WORKED, [BARS])
    assert gross(log) == [300, -40, -150]
    assert log.trades["lots"].tolist() == [60, 40, 50]
    assert log.trades["side"].tolist() == [1, 1, 1]
    assert log.trades["bars_held"].tolist() == [2, 3, 2]
    # Entry fees by quantity: 1.00 x 60/100 + 0.90, then 0.40 + 0.36, then 0.60 + 0.45.
    assert (log.trades["fees_atoms"] / ATOM).tolist() == [1.5, 0.76, 1.05]
    assert log.open_lots == (OpenLots(0, -50, 450 * ATOM, round(0.45 * ATOM)),)


def test_the_worked_example_at_average_cost_pf_7() -> None:
    log = build_trades(WORKED, [BARS], matching="average")
    assert gross(log) == [260, -150]
    assert log.trades["entry_atoms"].tolist() == [640 * ATOM, 960 * ATOM]
    assert log.trades["entry_bar"].tolist() == [0, 0]
    assert (log.trades["fees_atoms"] / ATOM).tolist() == [1.54, 1.77]


def test_the_worked_example_from_flat_to_flat_pf_7() -> None:
    log = build_trades(WORKED, [BARS], matching="flat")
    assert gross(log) == [110]
    assert log.trades["lots"].tolist() == [150]
    assert (log.trades["exit_bar"].tolist(), log.trades["exit_seq"].tolist()) == ([3], [3])
    assert (log.trades["fees_atoms"] / ATOM).tolist() == [3.31]


@pytest.mark.parametrize("matching", ["fifo", "average", "flat"])
def test_trades_and_what_is_open_explain_the_equity_coord_7(matching: TradeMatching) -> None:
    log = build_trades(WORKED, [BARS], matching=matching)
    opened = open_pnl_atoms(log.open_lots, [8], [BARS])
    change = round(156.24 * ATOM)
    assert consistency_gap(log, equity_change_atoms=change, open_pnl=opened) == 0
    assert consistency_gap(log, equity_change_atoms=change + 1, open_pnl=opened) == 1
    paid = 7 * ATOM
    assert (
        consistency_gap(log, equity_change_atoms=change - paid, open_pnl=opened, other_atoms=paid)
        == 0
    )


def test_what_is_open_of_a_trade_that_was_partly_closed() -> None:
    table = WORKED[:3]
    opened = {
        matching: build_trades(table, [BARS], matching=matching).open_lots[0]
        for matching in ("fifo", "average", "flat")
    }
    assert [one.lots for one in opened.values()] == [90, 90, 90]
    assert opened["fifo"].entry_atoms == (40 * 10 + 50 * 12) * ATOM
    assert opened["average"].entry_atoms == 960 * ATOM
    for matching, one in opened.items():
        log = build_trades(table, [BARS], matching=matching)  # type: ignore[arg-type]  # one of three
        mark = open_pnl_atoms([one], [15], [BARS])
        change = round((60 * 5 + 40 * 5 + 50 * 3 - 2.5) * ATOM)
        assert consistency_gap(log, equity_change_atoms=change, open_pnl=mark) == 0


@pytest.mark.parametrize("matching", ["fifo", "average", "flat"])
def test_no_atom_of_a_fee_is_lost_in_sharing_it(matching: TradeMatching) -> None:
    table = fills((0, 3, 10, 0.0), (1, -1, 10, 0.0), (2, -1, 10, 0.0), (3, -1, 10, 0.0))
    table["fee_atoms"] = [100, 7, 0, -5]
    log = build_trades(table, [BARS], matching=matching)
    assert log.trades["fees_atoms"].sum() == 102
    assert (log.trades["pnl_atoms"] == log.trades["gross_atoms"] - log.trades["fees_atoms"]).all()
    assert log.open_lots == ()


def test_a_short_trade_gains_when_the_price_falls() -> None:
    log = build_trades(fills((0, -5, 10, 0.5), (3, 5, 9, 0.5)), [BARS])
    assert gross(log) == [5]
    assert log.trades["side"].tolist() == [-1]
    assert log.returns.tolist() == [pytest.approx(4 / 50)]


def test_exit_reasons_come_from_the_exit() -> None:
    table = fills((0, 5, 10, 0.0), (2, -5, 15, 0.0))
    table["reason"][1] = FILL_REASONS.index("TAKE_PROFIT")
    trade = build_trades(table, [BARS]).trades[0]
    assert FILL_REASONS[trade["exit_reason"]] == "TAKE_PROFIT"
    assert (trade["entry_seq"], trade["exit_seq"]) == (0, 1)


def test_excursions_are_those_of_the_bars_that_were_held() -> None:
    # Held from the open of bar 0 to the open of bar 3: bars 0, 1, 2 count, bar 3 does not.
    trade = build_trades(fills((0, 10, 10, 0.0), (3, -10, 9, 0.0)), [BARS]).trades[0]
    assert trade["mae_atoms"] == 10 * (9 - 10) * ATOM
    assert trade["mfe_atoms"] == 10 * (16 - 10) * ATOM
    short = build_trades(fills((0, -10, 10, 0.0), (3, 10, 9, 0.0)), [BARS]).trades[0]
    assert short["mae_atoms"] == 10 * (10 - 16) * ATOM
    assert short["mfe_atoms"] == 10 * (10 - 9) * ATOM


def test_parts_of_bars_before_the_entry_and_after_the_exit_do_not_count() -> None:
    table = fills((0, 10, 11, 0.0), (2, -10, 14, 0.0))
    table["ts"] = [DAY_NS - 1, 3 * DAY_NS - 1]  # inside of bar 0 and of bar 2
    trade = build_trades(table, [BARS]).trades[0]
    assert trade["mae_atoms"] == 0  # bar 1 goes from 11 to 13, the exit is at 14
    assert trade["mfe_atoms"] == 10 * 3 * ATOM
    table["ts"][1] = 3 * DAY_NS  # at the close of bar 2: it counts
    trade = build_trades(table, [BARS]).trades[0]
    assert trade["mfe_atoms"] == 10 * 5 * ATOM


def test_a_trade_inside_of_one_bar_has_its_own_two_prices() -> None:
    table = fills((1, 10, 12, 0.0), (1, -10, 11, 0.0))
    table["ts"][1] = 2 * DAY_NS - 1
    trade = build_trades(table, [BARS]).trades[0]
    assert (trade["mae_atoms"], trade["mfe_atoms"]) == (-10 * ATOM, 0)
    assert trade["bars_held"] == 0


def test_symbols_are_matched_apart_and_trades_come_in_the_order_of_exits() -> None:
    other = columns([(100, 110, 90, 105)] * 4, "B")
    first, second = (
        fills((0, 1, 10, 0.0), (3, -1, 9, 0.0)),
        fills((0, 1, 100, 0.0), (2, -1, 105, 0.0), symbol=1),
    )
    table = np.concatenate([first[:1], second, first[1:]])
    log = build_trades(table, [BARS, other])
    assert log.trades["symbol"].tolist() == [1, 0]
    assert gross(log) == [5, -1]
    assert log.trades["mae_atoms"].tolist() == [-10 * ATOM, -1 * ATOM]


def test_without_fills_there_are_no_trades() -> None:
    log = build_trades(np.zeros(0, dtype=FILL_DTYPE), [BARS])
    assert len(log.trades) == 0
    assert log.open_lots == ()
    assert log.returns.tolist() == []


def test_an_entry_without_value_has_no_return() -> None:
    log = build_trades(fills((0, 1, 0, 0.0), (1, -1, 5, 0.0)), [BARS])
    assert trade_returns(log.trades).tolist() == [0.0]


@pytest.mark.parametrize("matching", ["fifo", "average", "flat"])
def test_a_split_scales_what_is_open_pf_10(matching: TradeMatching) -> None:
    halves = columns([(10, 12, 9, 11), (12, 13, 11, 12), (7, 8, 6, 7), (9, 10, 8, 8)])
    two_for_one = CorporateAction(2 * DAY_NS, CorporateActionKind.SPLIT, 2, 1)
    table = fills((0, 5, 10, 0.3), (3, -10, 9, 0.3))
    log = build_trades(table, [halves], matching=matching, actions={0: [two_for_one]})
    assert log.open_lots == ()
    assert gross(log) == [10 * 9 - 5 * 10]
    assert log.trades["lots"].tolist() == [10]
    assert log.trades["mae_atoms"].tolist() == [0]  # only bar 2 is in the new units
    assert log.trades["mfe_atoms"].tolist() == [40 * ATOM]
    assert log.cashed_atoms == 0


def test_a_fraction_of_a_lot_is_cashed_at_the_mark_pf_10() -> None:
    one_for_two = CorporateAction(DAY_NS, CorporateActionKind.SPLIT, 1, 2)
    log = build_trades(fills((0, 5, 10, 0.0)), [BARS], actions={0: [one_for_two]})
    # 5 lots become 2, half a new lot (one old one, cost 10) is sold at the mark 11.
    assert log.open_lots == (OpenLots(0, 2, 40 * ATOM, 0),)
    assert log.cashed_atoms == ATOM
    gone = build_trades(fills((0, 1, 10, 0.25)), [BARS], actions={0: [one_for_two]})
    assert gone.open_lots == ()
    assert gone.cashed_atoms == round(0.75 * ATOM)
