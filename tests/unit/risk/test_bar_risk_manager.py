"""RISK-1 to RISK-5 of a backtest: pipeline, sizers, limits, drawdown control."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import LIMIT, MARKET, BarOrder, Bracket
from engine.execution.bar_settings import BarBrokerSettings
from engine.model.bar_columns import DAY_NS
from engine.model.instruments import PPB
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.bar_account import BarAccount
from engine.risk.bar_limits import BarRiskSettings
from engine.risk.bar_risk_manager import BarRiskManager, Verdict
from engine.risk.drawdown import DrawdownWatch, Watch
from engine.strategies.signal_codes import BarOrderType, BracketBasis, KindCode, OffsetUnit
from engine.strategies.signal_rows import SignalRow
from engine.testing.bar_market import START_NS, Row, bars_of

FLAT: Row = (10_000, 10_100, 9_900, 10_000)
UP = SignalRow(kind=KindCode.DIRECTION, value=1)
DOWN = SignalRow(kind=KindCode.DIRECTION, value=-1)
EXIT = SignalRow(kind=KindCode.EXIT)


class Bench:
    """A risk manager on two flat markets at 100.00 with 100,000 of cash."""

    def __init__(self, *, bars: int = 80, symbols: int = 1, **settings: Any) -> None:
        columns = [bars_of([FLAT] * bars, symbol=f"S{number}") for number in range(symbols)]
        self.account = BarAccount(
            instruments=[one.instrument for one in columns],
            settings=AccountSettings(leverage=Decimal(10)),
        )
        self.broker = BarBroker(columns, account=self.account, settings=BarBrokerSettings())
        self.risk = BarRiskManager(
            settings=BarRiskSettings.model_validate(settings),
            columns=columns,
            account=self.account,
            orders=self.broker,
        )
        self.bar = 0
        self.step()

    @property
    def now_ns(self) -> int:
        return START_NS + self.bar * DAY_NS

    def step(self) -> None:
        """Run the next bar of every symbol."""
        pairs = [(symbol, self.bar) for symbol in range(len(self.broker.books))]
        self.broker.before(pairs)
        self.broker.match(pairs)
        self.broker.mark(pairs)
        self.bar += 1

    def signal(self, row: SignalRow, symbol: int = 0) -> Verdict:
        return self.risk.on_signal(symbol, self.bar - 1, row, now_ns=self.now_ns)

    def hold(self, lots: int, symbol: int = 0, stop: int | None = None) -> None:
        side = 1 if lots > 0 else -1
        bracket = None if stop is None else Bracket(sl=stop)
        self.broker.submit(
            BarOrder(symbol, side, MARKET, abs(lots), bracket=bracket), now_ns=self.now_ns
        )
        self.step()

    def work(self, lots: int, limit: int, symbol: int = 0, stop: int | None = None) -> None:
        side = 1 if lots > 0 else -1
        bracket = None if stop is None else Bracket(sl=stop)
        order = BarOrder(symbol, side, LIMIT, abs(lots), limit=limit, bracket=bracket)
        assert self.broker.submit(order, now_ns=self.now_ns), order.reason


def lots(verdict: Verdict) -> int:
    return 0 if verdict.order is None else verdict.order.side * verdict.order.lots


# --- sizers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizer", "expected"),
    [
        ({"kind": "fixed", "qty": 7}, 7),
        ({"kind": "percent_equity", "weight": "0.1"}, 100),
        ({"kind": "percent_equity", "weight": "0.0999"}, 99),
        ({"kind": "atr", "risk": "0.01", "n": 14, "k": 2}, 250),
        ({"kind": "atr", "risk": "0.01", "k": 2, "max_pct": "0.2"}, 200),
        ({"kind": "volatility", "max_pct": "0.3"}, 300),
        ({"kind": "kelly", "win_rate": "0.6", "payoff": 2}, 100),
        ({"kind": "kelly", "p": "0.6", "b": 2}, 100),
        ({"kind": "kelly", "win_rate": "0.3", "payoff": 1}, 0),
    ],
    ids=lambda value: str(value.get("kind")) if isinstance(value, dict) else "",
)
def test_a_sizer_gives_the_lots_of_its_formula(sizer: dict[str, Any], expected: int) -> None:
    bench = Bench(sizer=sizer)
    assert lots(bench.signal(UP)) == expected
    assert lots(bench.signal(DOWN)) == -expected


def test_percent_risk_of_the_worked_example() -> None:
    """Equity 100,000, risk 1 %, entry 100, stop 97: 333."""
    bench = Bench(sizer={"kind": "percent_risk", "risk": "0.01"})
    assert lots(bench.signal(UP._replace(sl=9_700))) == 333
    three_percent = UP._replace(
        sl=30_000_000, sl_unit=OffsetUnit.PPB, bracket_basis=BracketBasis.FILL
    )
    assert lots(bench.signal(three_percent)) == 333
    assert bench.signal(UP).reason == "NO_STOP_FOR_SIZER"


def test_all_in_is_resolved_at_the_fill_and_not_repeated() -> None:
    bench = Bench(sizer="all_in")
    verdict = bench.signal(UP)
    assert verdict.order is not None
    assert (verdict.order.lots, verdict.order.size_ppb) == (0, PPB)
    bench.broker.submit(verdict.order, now_ns=bench.now_ns)
    bench.step()
    assert bench.account.positions[0].lots == 10_000
    assert bench.signal(UP) == Verdict(None)


def test_strength_multiplies_the_result() -> None:
    bench = Bench(sizer={"kind": "percent_equity", "weight": "0.1"})
    assert lots(bench.signal(UP._replace(strength_ppb=PPB // 2))) == 50


# --- targets and delta ---------------------------------------------------------------------------


def test_delta_counts_position_and_working_orders() -> None:
    bench = Bench(sizer={"kind": "fixed", "qty": 100}, one_pending_per_symbol=False)
    bench.hold(30)
    bench.work(20, 9_000)
    assert lots(bench.signal(UP)) == 50
    assert lots(bench.signal(SignalRow(kind=KindCode.TARGET_QTY, value=50))) == 0
    assert lots(bench.signal(SignalRow(kind=KindCode.TARGET_WEIGHT, value=PPB // 10))) == 50
    assert lots(bench.signal(DOWN)) == -150


def test_an_exit_closes_everything_reduce_only_and_cancels_entries() -> None:
    bench = Bench()
    bench.hold(30)
    bench.work(20, 9_000)
    verdict = bench.signal(EXIT)
    assert lots(verdict) == -30
    assert verdict.cancels_entries
    assert verdict.order is not None
    assert verdict.order.reduce_only
    bench.broker.submit(verdict.order, now_ns=bench.now_ns)
    assert bench.signal(EXIT).reason == "PENDING_ORDER"
    assert Bench().signal(EXIT) == Verdict(None, cancels_entries=False)


def test_a_direction_waits_while_orders_work() -> None:
    bench = Bench()
    bench.work(20, 9_000)
    assert bench.signal(UP).reason == "PENDING_ORDER"
    assert bench.risk.rejections == {"PENDING_ORDER": 1}
    assert lots(Bench(one_pending_per_symbol=False).signal(UP)) > 0


def test_only_flat_signals_are_dropped_unless_nothing_is_there() -> None:
    bench = Bench()
    row = UP._replace(only_flat=1)
    assert lots(bench.signal(row)) > 0
    bench.hold(1)
    assert bench.signal(row) == Verdict(None)


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected", "code"),
    [
        ({"max_position_size": 60}, 60, "MAX_POSITION_SIZE"),
        ({"max_position_pct": "0.05"}, 50, "MAX_POSITION_PCT"),
        ({"max_gross_exposure": 4_000}, 40, "MAX_GROSS_EXPOSURE"),
        ({"max_net_exposure": 3_000}, 30, "MAX_NET_EXPOSURE"),
        ({"max_leverage": "0.02"}, 20, "MAX_LEVERAGE"),
        ({"max_portfolio_heat": "0.06"}, 60, "MAX_PORTFOLIO_HEAT"),
        ({"max_portfolio_heat": "0.06", "no_stop_risk": "0.75"}, 80, "MAX_PORTFOLIO_HEAT"),
        ({"max_portfolio_risk": "0.0005"}, 50, "MAX_PORTFOLIO_RISK"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_size_limit_clamps_or_rejects(limits: dict[str, Any], expected: int, code: str) -> None:
    sizer = {"kind": "fixed", "qty": 100}
    bench = Bench(sizer=sizer, **limits)
    verdict = bench.signal(UP)
    assert lots(verdict) == expected
    assert verdict.note == f"100 lots cut to {expected} by {code}"
    ((name, value), *rest) = limits.items()
    settings: dict[str, Any] = {**dict(rest), name: {"value": value, "mode": "reject"}}
    strict = Bench(sizer=sizer, **settings)
    assert strict.signal(UP).reason == code


def test_heat_of_the_worked_example() -> None:
    """Long 500 at 100 stop 97, working 200 at 50 stop 45, another 4000 of risk: 3500 may go."""
    bench = Bench(
        symbols=3,
        sizer={"kind": "fixed", "qty": 800},
        max_portfolio_heat="0.06",
        one_pending_per_symbol=False,
    )
    bench.hold(500, stop=9_700)
    bench.work(200, 5_000, symbol=1, stop=4_500)
    verdict = bench.signal(UP._replace(sl=9_500), symbol=2)
    assert lots(verdict) == 700  # 700 * 5.00 = 3500


def test_reductions_pass_every_limit() -> None:
    bench = Bench(max_position_size=10, sizer={"kind": "fixed", "qty": 5}, max_leverage="0.001")
    bench.hold(30)
    assert lots(bench.signal(SignalRow(kind=KindCode.TARGET_QTY, value=12))) == -18
    assert lots(bench.signal(EXIT)) == -30
    verdict = bench.signal(DOWN)
    assert lots(verdict) == -31  # the reversal opens what max_leverage 0.001 allows: one lot


def test_two_signals_of_one_instant_see_each_other() -> None:
    bench = Bench(symbols=2, sizer={"kind": "fixed", "qty": 60}, max_gross_exposure=10_000)
    first = bench.signal(UP)
    assert first.order is not None
    bench.broker.submit(first.order, now_ns=bench.now_ns)
    assert lots(bench.signal(UP, symbol=1)) == 40


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"allowed_symbols": ["S9"]}, "SYMBOL_NOT_ALLOWED"),
        ({"blocked_symbols": ["S0"]}, "SYMBOL_NOT_ALLOWED"),
        ({"trading_hours": ["08:00-16:30"]}, "TRADING_HOURS"),
    ],
    ids=["allowed", "blocked", "hours"],
)
def test_a_filter_refuses_entries_with_its_reason(settings: dict[str, Any], reason: str) -> None:
    assert Bench(**settings).signal(UP).reason == reason
    assert lots(Bench(trading_hours=["00:00-24:00"]).signal(UP)) > 0


def test_counts_refuse_entries_only() -> None:
    bench = Bench(symbols=3, max_orders_per_bar=2, one_pending_per_symbol=False)
    assert [bool(lots(bench.signal(UP, symbol))) for symbol in range(3)] == [True, True, False]
    bench.step()
    assert lots(bench.signal(UP)) > 0
    daily = Bench(max_orders_per_day=1)
    assert lots(daily.signal(UP)) > 0
    assert daily.signal(UP).reason == "MAX_ORDERS_PER_DAY"
    held = Bench(symbols=2, max_open_positions=1)
    held.hold(5)
    assert held.signal(UP, symbol=1).reason == "MAX_OPEN_POSITIONS"
    assert lots(held.signal(EXIT)) == -5


def test_cooldown_and_memory_of_stops() -> None:
    bench = Bench(cooldown_bars=3, exit_memory=True, sizer={"kind": "fixed", "qty": 10})
    bench.hold(10, stop=9_950)
    fills = bench.broker.fill_log
    for fill in fills:
        bench.risk.on_fill(fill)
    assert bench.account.positions[0].lots == 0
    assert bench.signal(UP).reason == "COOLDOWN"
    for _ in range(3):
        bench.step()
    assert bench.signal(UP).reason == "EXIT_MEMORY"
    assert lots(bench.signal(DOWN)) == -10
    assert lots(bench.signal(UP)) == 10  # the signal has changed in between


def test_a_daily_loss_refuses_entries_until_the_next_session() -> None:
    bench = Bench(max_daily_loss="0.01")
    bench.account.equity -= 101_000_000_000_000 // 1000
    bench.account.equity = int(Decimal(98999) * 10**8)
    assert bench.signal(UP).reason == "MAX_DAILY_LOSS"
    bench.risk.session_started()
    assert lots(bench.signal(UP)) > 0


# --- drawdown ------------------------------------------------------------------------------------


def test_drawdown_reduces_then_halts_and_keeps_exits() -> None:
    bench = Bench(
        sizer={"kind": "fixed", "qty": 100},
        drawdown_control={"max_drawdown": "0.20"},
    )
    start = bench.account.equity
    assert bench.risk.observe(start * 91 // 100) is Watch.NOTHING
    assert bench.risk.observe(start * 90 // 100) is Watch.REDUCED
    assert lots(bench.signal(UP)) == 50
    assert bench.risk.observe(start) is Watch.RESTORED
    assert lots(bench.signal(UP)) == 100
    assert bench.risk.observe(start * 80 // 100) is Watch.HALTED
    assert bench.signal(UP).reason == "RISK_HALTED"
    bench.hold(40)
    assert lots(bench.signal(EXIT)) == -40
    verdict = bench.signal(DOWN)
    assert (lots(verdict), verdict.note) == (-40, "RISK_HALTED")


def test_a_halt_can_end_with_the_next_session_or_by_hand() -> None:
    settings = BarRiskSettings.model_validate(
        {"drawdown_control": {"max_drawdown": "0.2", "resume": "next_session"}}
    )
    assert settings.drawdown is not None
    watch = DrawdownWatch(settings.drawdown, 1000)
    assert watch.observe(800) is Watch.HALTED
    assert watch.observe(700) is not Watch.HALTED
    assert watch.session_started(700)
    assert (watch.is_halted, watch.peak) == (False, 700)
    never = DrawdownWatch(settings.drawdown.model_copy(update={"resume": "never"}), 1000)
    never.observe(800)
    assert not never.session_started(800)
    never.resume(800)
    assert not never.is_halted


def test_the_short_form_of_the_kill_switch() -> None:
    settings = BarRiskSettings.model_validate({"max_drawdown": "0.3"})
    assert settings.drawdown is not None
    assert settings.drawdown.max_drawdown == Decimal("0.3")
    assert settings.drawdown.reduce_threshold is None
    with pytest.raises(ValidationError, match="max_drawdown is given twice"):
        BarRiskSettings.model_validate(
            {"max_drawdown": "0.3", "drawdown_control": {"max_drawdown": "0.2"}}
        )


def test_an_order_of_an_executor_keeps_its_quantity_unless_a_limit_cuts_it() -> None:
    bench = Bench(max_position_size=60)
    order = BarOrder(0, 1, MARKET, 100)
    verdict = bench.risk.on_order(order, bar=0, now_ns=bench.now_ns)
    assert lots(verdict) == 60
    small = BarOrder(0, 1, MARKET, 5)
    assert lots(bench.risk.on_order(small, bar=0, now_ns=bench.now_ns)) == 5


def test_an_explicit_order_keeps_prices_and_terms() -> None:
    bench = Bench()
    row = SignalRow(
        kind=KindCode.ORDER, side=-1, value=5, order_type=BarOrderType.LIMIT, limit=10_050, tag=0
    )
    verdict = bench.signal(row)
    assert verdict.order is not None
    assert (lots(verdict), verdict.order.kind, verdict.order.limit) == (-5, LIMIT, 10_050)
