from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from engine.markets.bar_options import InstrumentTerms
from engine.markets.data_report import MarketDataError
from engine.markets.event_file import load_corporate_actions, load_funding
from engine.markets.stamps import parse_bar_duration
from engine.markets.tick_file import bars_of_trades, load_quotes, load_trades
from engine.model.clock import from_iso
from engine.model.market_events import CorporateAction, CorporateActionKind, Funding

TERMS = InstrumentTerms("BTC", tick=Decimal("0.5"), lot=Decimal("0.001"))
T0 = from_iso("2024-01-01")


def write(folder: Path, *lines: str) -> Path:
    path = folder / "ticks.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_trades_become_integers_in_the_order_of_time(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,price,qty,side",
        "2024-01-01T00:00:02Z,100.5,0.25,sell",
        "2024-01-01T00:00:01Z,100,1,BUY",
        "2024-01-01T00:00:01Z,100.25,0.0015,",
    )
    trades = load_trades(path, terms=TERMS)
    assert len(trades) == 3
    assert ((trades.ts - T0) // 10**9).tolist() == [1, 1, 2]
    assert trades.price.tolist() == [200, 200, 201]
    assert trades.size.tolist() == [1000, 1, 250]
    assert trades.aggressor.tolist() == [1, 0, -1]
    assert trades.seq.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        trades.price[0] = 1


def test_trades_of_a_typed_file_keep_their_own_numbers(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    pl.DataFrame(
        {"ts": [T0, T0 + 1], "price": [1.5, 2.0], "size": [1, 2], "trade_id": [70, 71]}
    ).write_parquet(path)
    trades = load_trades(path, terms=TERMS, epoch_unit="ns")
    assert trades.seq.tolist() == [70, 71]
    assert trades.price.tolist() == [3, 4]


def test_quotes_have_two_sides(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "timestamp,bid,ask,bid_size,ask_size",
        "2024-01-01T00:00:00Z,99.5,100,1,2",
        "2024-01-01T00:00:01Z,100,100,0,0.5",
    )
    quotes = load_quotes(path, terms=TERMS)
    assert (quotes.bid.tolist(), quotes.ask.tolist()) == ([199, 200], [200, 200])
    assert (quotes.bid_size.tolist(), quotes.ask_size.tolist()) == ([1000, 0], [2000, 500])
    bare = load_quotes(write(tmp_path, "time,bid,ask", "2024-01-01T00:00:00Z,1,2"), terms=TERMS)
    assert (len(bare), bare.bid_size.tolist()) == (1, [0])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["time,price", "2024-01-01,1"], "1: header: lacks the column size: add size, qty"),
        (["price,size", "1,1"], "1: header: lacks the column timestamp: add timestamp, date"),
        (["time,price,p,size", "2024-01-01,1,1,1"], "has two columns for 'price': keep one"),
        (["time,price,size"], "1: row: none follows the header"),
        (["time,price,size", "2024-01-01,0,1"], "2: price: '0' is not above 0"),
        (["time,price,size", "2024-01-01,1,-1"], "2: size: '-1' is negative"),
        (["time,price,size", "2024-01-01,,1"], "2: price: '' is blank or infinite"),
        (["time,price,size", "2024-01-01,inf,1"], "2: price: 'inf' is blank or infinite"),
        (["time,price,size", "2024-01-01,one,1"], "2: price: 'one' is not a number"),
        (["time,price,size", "today,1,1"], "2: timestamp: 'today' is not a stamp"),
        (
            ["time,price,size", "2024-01-01T00:00:00Z,1,1", "2024-01-01T00:00:00,1,1"],
            "3: timestamp: '2024-01-01T00:00:00' has no offset",
        ),
        (
            ["time,price,size,side", "2024-01-02,1,1,buy", "2024-01-01,1,1,up"],
            "3: aggressor: 'up' is no side",
        ),
    ],
)
def test_what_is_wrong_with_trades_names_line_field_and_value(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    path = write(tmp_path, *lines)
    with pytest.raises(MarketDataError) as caught:
        load_trades(path, terms=TERMS)
    assert str(caught.value).startswith(f"{path}:")
    assert said in str(caught.value)


def test_a_crossed_quote_and_a_missing_tick_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "time,bid,ask", "2024-01-01T00:00:00Z,101,100")
    with pytest.raises(MarketDataError, match=r":2: bid: '101' is above the ask"):
        load_quotes(path, terms=TERMS)
    with pytest.raises(MarketDataError, match="tick: is not configured"):
        load_quotes(path, terms=InstrumentTerms("BTC"))
    coarse = InstrumentTerms("BTC", tick=Decimal("0.0001"), lot=Decimal("0.00001"))
    with pytest.raises(MarketDataError, match="NON_INTEGRAL_SCALE"):
        load_quotes(path, terms=coarse)


def test_bars_of_trades(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,price,size",
        "2024-01-01T00:00:10Z,100,1",
        "2024-01-01T00:00:20Z,102,3",
        "2024-01-01T00:00:59Z,99,0",
        "2024-01-01T00:02:00Z,98,2",
    )
    bars = bars_of_trades(load_trades(path, terms=TERMS), parse_bar_duration("1m"))
    assert ((bars.ts_open - T0) // (60 * 10**9)).tolist() == [0, 2]
    assert bars.open.tolist() == [200, 196]
    assert bars.high.tolist() == [204, 196]
    assert bars.low.tolist() == [198, 196]
    assert bars.close.tolist() == [198, 196]
    assert bars.volume.tolist() == [4000, 2000]
    assert bars.vwap is not None
    assert bars.trades is not None
    assert bars.vwap.tolist() == [203, 196]
    assert bars.trades.tolist() == [3, 1]
    with pytest.raises(ValueError, match="fixed length"):
        bars_of_trades(load_trades(path, terms=TERMS), parse_bar_duration("1mo"))


def test_funding_rates_are_parts_per_billion(tmp_path: Path) -> None:
    path = write(
        tmp_path, "time,rate", "2024-01-01T08:00:00Z,-0.0000125", "2024-01-01T00:00:00Z,0.0001"
    )
    assert load_funding(path) == (
        Funding(T0, 100_000),
        Funding(T0 + 8 * 3600 * 10**9, -12_500),
    )
    path = write(tmp_path, "time,rate", "2024-01-01T08:00:00Z,0.00000000001")
    with pytest.raises(MarketDataError, match="is not a multiple of"):
        load_funding(path)


def test_corporate_actions_are_splits_and_dividends(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "date,kind,ratio_num,ratio_den,amount",
        "2024-02-01,Dividend,,,0.25",
        "2024-01-01,split,3,2,",
    )
    assert load_corporate_actions(path) == (
        CorporateAction(T0, CorporateActionKind.SPLIT, 3, 2),
        CorporateAction(
            from_iso("2024-02-01"), CorporateActionKind.DIVIDEND, amount_atoms=25_000_000
        ),
    )
    only = write(tmp_path, "date,kind,amount", "2024-02-01,dividend,1")
    assert load_corporate_actions(only)[0].amount_atoms == 10**8


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["date,kind,amount", "2024-01-01,merger,1"], "2: kind: 'merger' is no kind of action"),
        (["date,kind", "2024-01-01,split"], "1: header: lacks the column ratio_num"),
        (["date,kind", "2024-01-01,dividend"], "1: header: lacks the column amount"),
        (
            ["date,kind,ratio_num,ratio_den", "2024-01-01,split,0,1"],
            "2: ratio_num: '0' is not above 0",
        ),
        (
            ["date,kind,ratio_num,ratio_den", "2024-01-01,split,1.5,1"],
            "2: ratio_num: '1.5' is not a multiple of 1",
        ),
    ],
)
def test_corporate_actions_that_cannot_be_used(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(MarketDataError) as caught:
        load_corporate_actions(write(tmp_path, *lines))
    assert said in str(caught.value)
