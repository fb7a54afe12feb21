"""UNIT-9: symbols in another currency than the account, converted at their rate's last mark."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.config import as_config
from engine.backtest.results import BacktestResult
from engine.config.backtest_file import load_backtest_file
from engine.config.document import ConfigError
from engine.flow.errors import ConfigurationError
from engine.model.bar_columns import DAY_NS, BarColumns
from engine.testing.bar_market import START_NS, bars_of, run_on, wave


def flat(*closes: int, symbol: str, start_ns: int = START_NS) -> BarColumns:
    rows = [(one, one, one, one) for one in closes]
    return bars_of(rows, symbol=symbol, start_ns=start_ns)


def config(orders: list[dict[str, Any]], **more: Any) -> Any:
    components = {
        "strategy": {
            "class": "scripted",
            "symbols": ["SAP"],
            "params": {"orders": orders},
        },
        "risk_manager": {"params": more.pop("risk", {})},
        "broker": {"params": more.pop("broker", {})},
        "portfolio": {"params": more.pop("portfolio", {})},
    }
    data = [
        {"symbol": "SAP", "path": "SAP.csv", "currency": "EUR", "fx_symbol": "EURUSD"},
        {"symbol": "EURUSD", "path": "EURUSD.csv"},
    ]
    return as_config({"data": data, "components": components, **more})


SAP = flat(10_000, 10_000, 11_000, 11_000, symbol="SAP")
EURUSD = flat(110, 110, 120, 120, symbol="EURUSD")
BUY = {"bar": 0, "side": "buy", "qty": 10}


def equity(result: BacktestResult) -> list[Decimal]:
    return [result.money(int(one)) for one in result.equity["equity_atoms"]]


def test_a_round_trip_by_hand() -> None:
    costs = {"commission_model": {"kind": "percent", "rate": "0.001"}}
    result = run_on(config([BUY], broker=costs), SAP, EURUSD)
    # 10 at 100 EUR and 1.10 cost 1,100 and 1.10; they are worth 10 * 110 * 1.20 at the end.
    assert equity(result) == [
        Decimal(100_000),
        Decimal("99998.9"),
        Decimal("100218.9"),
        Decimal("100217.58"),
    ]
    (trade,) = result.trades
    assert result.money(int(trade["entry_atoms"])) == 1100
    assert result.money(int(trade["exit_atoms"])) == 1320
    assert result.money(int(trade["pnl_atoms"])) == Decimal("217.58")
    assert result.money(int(trade["mfe_atoms"])) == 220
    assert result.metrics["fees_total"] == Decimal("2.42")


def test_the_rate_is_that_of_the_last_mark_also_through_a_flip() -> None:
    orders = [BUY, {"bar": 1, "side": "sell", "qty": 25}]
    result = run_on(config(orders, close_positions_at_end=False), SAP, EURUSD)
    # Sold at the open of the third bar, when the last mark of the rate is still 1.10.
    assert equity(result)[-1] == 100_000 + 110 - 15 * (132 - 121)


def test_without_a_rate_an_order_is_rejected_and_a_signal_too() -> None:
    late = flat(110, 110, symbol="EURUSD", start_ns=START_NS + 2 * DAY_NS)
    orders = [BUY, {"bar": 0, "kind": "target_weight", "weight": "0.5"}, {**BUY, "bar": 2}]
    result = run_on(config(orders), SAP, late)
    assert result.rejections["NO_FX_RATE"] == 2
    assert [note["reason"] for note in result.order_notes] == ["NO_FX_RATE", "", ""]
    assert result.orders_by_state == {"FILLED": 2, "REJECTED": 1}


@pytest.mark.parametrize(
    ("order", "risk", "lots"),
    [
        ({"kind": "target_weight", "weight": "0.11"}, {}, 100),
        ({"side": "buy", "size_pct": "0.5"}, {}, 454),
        ({"side": "buy", "qty": 900}, {"max_position_pct": "0.055"}, 50),
        ({"side": "buy", "qty": 900}, {"max_gross_exposure": 22_000}, 200),
        ({"side": "buy", "qty": 900}, {"max_portfolio_heat": "0.11"}, 100),
        ({"kind": "direction", "side": "buy"}, {"sizer": {"kind": "all_in"}}, 909),
    ],
)
def test_sizes_and_limits_count_in_the_accounts_currency(
    order: dict[str, Any], risk: dict[str, Any], lots: int
) -> None:
    result = run_on(config([{"bar": 0, **order}], risk=risk), SAP, EURUSD)
    assert int(result.fills["lots"][0]) == lots


@pytest.mark.parametrize("matching", ["fifo", "average", "flat"])
def test_trades_explain_the_equity_to_the_atom(matching: str) -> None:
    # COORD-7 raises otherwise; seven lots of odd prices leave rests at every conversion.
    orders = [
        {"bar": bar, "side": "buy" if bar % 3 else "sell", "qty": 7 + bar % 5}
        for bar in range(0, 60, 2)
    ]
    result = run_on(
        config(orders, portfolio={"trade_matching": matching}),
        bars_of(wave(64, seed=5), symbol="SAP"),
        bars_of(wave(64, seed=6, start=11_037, step=90), symbol="EURUSD", tick="0.0001"),
    )
    assert len(result.trades) >= 2
    assert result.engine == "events"


def test_the_compiled_path_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigurationError, match="fx_symbol: other currencies are converted on"):
        run_on(config([BUY], engine="compiled"), SAP, EURUSD)


FILE = """version: 1
backtest:
  data:
    - {symbol: SAP, path: bars.csv, bar: 1d, currency: EUR}
    - {symbol: VOW, path: bars.csv, bar: 1d, currency: EUR, fx_symbol: EURUSD}
    - {symbol: IBM, path: bars.csv, bar: 1d, currency: USD, fx_symbol: SAP}
    - {symbol: ABC, path: bars.csv, bar: 1d, currency: CHF, fx_symbol: SAP}
  components:
    strategy: {class: buy_and_hold}
"""


def test_currencies_without_a_rate_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("date,open,high,low,close\n2024-01-01,1,1,1,1\n")
    path = tmp_path / "run.yaml"
    path.write_text(FILE)
    with pytest.raises(ConfigError) as caught:
        load_backtest_file(path)
    assert [text.partition("run.yaml:")[2] for text in caught.value.problems] == [
        "4: backtest.data.0.currency: 'EUR' is not the account's 'USD': name fx_symbol",
        ("5: backtest.data.1.fx_symbol: 'EURUSD' is not in data, there are SAP, IBM, ABC"),
        "6: backtest.data.2.fx_symbol: 'SAP' is not needed: 'USD' is the account's currency",
        "7: backtest.data.3.fx_symbol: 'SAP' is quoted in 'EUR', it must be in 'USD'",
    ]
