"""Every mistake in a session file is told with its place and with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from engine.config.document import ConfigError
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.model.instruments import ConnectorPair

TEXT = """\
version: 1
session:
  name: test
  speed: max
  start: 2026-01-05T08:00:00Z
  end_after: 10m
account:
  currency: USDT
  parity: [USD]
venues:
  - name: paper_perpetual
markets:
  - venue: paper_perpetual
    pair: BTC-USDT
    tick: 0.1
    lot: 0.0001
    source: {kind: synthetic}
strategies:
  - id: cross
    kind: sma_cross
    connector_name: paper_perpetual
    trading_pair: BTC-USDT
    params: {fast: 3, slow: 9}
controllers:
  - id: momentum
    kind: momentum
    params:
      connector_name: paper_perpetual
      trading_pair: BTC-USDT
executors:
  - type: position_executor
    connector_name: paper_perpetual
    trading_pair: BTC-USDT
    side: BUY
    amount: 0.01
"""

Load = Callable[..., SessionPlan]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(*changes: tuple[str, str]) -> SessionPlan:
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "session.yaml"
        path.write_text(text, encoding="utf-8")
        return load_session_plan(path)

    return load


def test_a_plan_has_everything_that_the_file_names(load: Load) -> None:
    plan = load()
    market = ConnectorPair("paper_perpetual", "BTC-USDT")
    assert list(plan.instruments) == [market]
    assert [one.controller_id for one in plan.controllers] == ["momentum"]
    assert [key for key, _ in plan.strategies] == [market]
    assert plan.strategies[0][1].warmup == 9
    assert [one.type for one in plan.executors] == ["position_executor"]
    assert plan.config.session.end_after == 600 * 10**9
    assert plan.config.account.initial_balance == Decimal(100_000)


def test_the_hash_is_that_of_the_values_and_not_of_the_text(load: Load) -> None:
    same = load(("  end_after: 10m", "  end_after: 600s   # ten minutes"))
    assert load().config_hash == same.config_hash
    assert load(("amount: 0.01", "amount: 0.02")).config_hash != same.config_hash


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("  - venue: paper_perpetual", "  - venue: nowhere"),
            "13: markets.0.venue: venue 'nowhere' is not known, allowed: paper_perpetual",
        ),
        (
            ("pair: BTC-USDT\n    tick", "pair: BTC-EUR\n    tick"),
            "14: markets.0.pair: EUR is not the account's currency USDT",
        ),
        (
            ("    tick: 0.1\n", ""),
            "13: markets.0.tick: is missing, a synthetic market needs its price step",
        ),
        (
            ("kind: momentum", "kind: magic"),
            "26: controllers.0.kind: controller 'magic' is not known, allowed: momentum",
        ),
        (
            ("id: momentum", "id: main"),
            "25: controllers.0.id: 'main' is taken, choose another",
        ),
        (
            ("kind: sma_cross", "kind: magic"),
            "20: strategies.0.kind: strategy 'magic' is not known, allowed: bracket, ",
        ),
        (
            ("fast: 3", "fast: 30"),
            "23: strategies.0.params: fast 30 must be below slow 9",
        ),
        (
            ("fast: 3", "quick: 3"),
            "23: strategies.0.params.quick: is not a known key, known keys: fast, slow",
        ),
        (
            ("    trading_pair: BTC-USDT\n    params", "    trading_pair: ETH-USDT\n    params"),
            (
                "22: strategies.0.trading_pair: market 'paper_perpetual:ETH-USDT' is not known, "
                "allowed: paper_perpetual:BTC-USDT"
            ),
        ),
        (
            ("      trading_pair: BTC-USDT\nexec", "      trading_pair: ETH-USDT\nexec"),
            "29: controllers.0.params.trading_pair: market 'paper_perpetual:ETH-USDT' is not",
        ),
        (
            ("type: position_executor", "type: magic"),
            "31: executors.0.type: executor type 'magic' is not known, allowed: ",
        ),
        (
            ("- type: position_executor\n    connector", "- connector"),
            "31: executors.0.type: executor type '' is not known, allowed: ",
        ),
        (
            ("amount: 0.01", "amount: -1"),
            "35: executors.0.amount: ",
        ),
        (
            ("    trading_pair: BTC-USDT\n    side", "    trading_pair: ETH-USDT\n    side"),
            "33: executors.0.trading_pair: market 'paper_perpetual:ETH-USDT' is not known",
        ),
        (
            ("start: 2026-01-05T08:00:00Z", "start: now"),
            "session: speed max runs on a simulated clock",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    load: Load, tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(change)
    problem = caught.value.problems[0]
    assert problem.startswith(str(tmp_path / "session.yaml"))
    assert expected in problem


def test_a_pair_may_not_be_there_twice(load: Load) -> None:
    market = TEXT[TEXT.index("  - venue:") : TEXT.index("strategies:")]
    with pytest.raises(ConfigError) as caught:
        load((market, market * 2))
    (problem,) = caught.value.problems
    assert ":19: markets.1.pair: BTC-USDT is already a market of paper_perpetual" in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "venues:\n",
            "venues:\n  - name: paper_perpetual\n",
            "venues.1.name: 'paper_perpetual' is used twice",
        ),
        (
            "strategies:\n",
            (
                "strategies:\n  - id: cross\n    kind: sma_cross\n"
                "    connector_name: paper_perpetual\n    trading_pair: BTC-USDT\n"
            ),
            "strategies.1.id: 'cross' is taken, choose another",
        ),
        (
            "controllers:\n",
            (
                "controllers:\n  - id: momentum\n    kind: momentum\n    params:\n"
                "      {connector_name: paper_perpetual, trading_pair: BTC-USDT}\n"
            ),
            "controllers.1.id: 'momentum' is taken, choose another",
        ),
    ],
)
def test_names_are_unique(load: Load, old: str, new: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load((old, new))
    (problem,) = caught.value.problems
    assert expected in problem


def test_all_mistakes_are_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            ("kind: momentum", "kind: a"),
            ("kind: sma_cross", "kind: b"),
            ("amount: 0.01", "amount: x"),
        )
    assert len(caught.value.problems) == 3


def test_a_market_that_cannot_be_built_is_not_also_called_unknown(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(("{kind: synthetic}", "{kind: replay, path: nothing.csv, bar: 1h}"))
    (problem,) = caught.value.problems
    assert "markets.0.source.path: 'nothing.csv' does not exist" in problem


def test_a_damaged_data_file_is_told_at_its_source(load: Load, tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("time,open\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(("{kind: synthetic}", "{kind: replay, path: bars.csv, bar: 1h}"))
    (problem,) = caught.value.problems
    assert "markets.0.source" in problem
    assert "bars.csv" in problem


POSITION = """\
initial_positions:
  - connector_name: paper_perpetual
    trading_pair: BTC-USDT
    amount: 0.5
    side: sell
executors:"""
SECOND = "{connector_name: paper_perpetual, trading_pair: BTC-USDT, amount: 1, side: BUY}"


def test_initial_positions_belong_to_main_or_to_a_controller(load: Load) -> None:
    plan = load(("executors:", POSITION))
    (position,) = plan.initial_positions["main"]
    assert (position.amount, position.side.name) == (Decimal("0.5"), "SELL")
    owned = POSITION.replace("connector_name:", "controller_id: momentum\n    connector_name:")
    assert list(load(("executors:", owned)).initial_positions) == ["momentum"]


HEDGE = ("  - name: paper_perpetual\n", "  - name: paper_perpetual\n    position_mode: hedge\n")
NO_STRATEGY = (TEXT[TEXT.index("strategies:") : TEXT.index("controllers:")], "")


def test_a_venue_that_hedges_may_begin_with_a_long_and_a_short(load: Load) -> None:
    both = POSITION.replace("side: sell", f"side: sell\n  - {SECOND}")
    plan = load(HEDGE, NO_STRATEGY, ("executors:", both))
    assert [one.is_hedged for one in plan.instruments.values()] == [True]
    sides = [position.side.name for position in plan.initial_positions["main"]]
    assert sides == ["SELL", "BUY"]


def test_a_strategy_needs_a_venue_that_nets(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(HEDGE)
    (problem,) = caught.value.problems
    assert ":22: strategies.0.connector_name: paper_perpetual has position_mode HEDGE" in problem


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "amount: 0.5",
            "amount: 0.00005",
            "initial_positions.0.amount: 0.00005 is not a whole number of lots of 0.0001",
        ),
        ("amount: 0.5", "amount: 0", "initial_positions.0.amount: 0 is not allowed, must be"),
        ("side: sell", "side: range", "initial_positions.0.side: 'range' is not allowed, must be"),
        (
            "trading_pair: BTC-USDT",
            "trading_pair: ETH-USDT",
            "initial_positions.0.trading_pair: market 'paper_perpetual:ETH-USDT' is not known",
        ),
        (
            "connector_name:",
            "controller_id: nobody\n    connector_name:",
            "initial_positions.0.controller_id: controller 'nobody' is not known, allowed: main, ",
        ),
        (
            "side: sell",
            f"side: sell\n  - {SECOND}",
            "initial_positions.1.trading_pair: main has a position of paper_perpetual:BTC-USDT al",
        ),
    ],
)
def test_a_wrong_initial_position_is_told(load: Load, old: str, new: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(("executors:", POSITION.replace(old, new)))
    assert any(expected in text for text in caught.value.problems), caught.value.problems


def test_a_spot_market_has_no_short_position_and_no_funding(load: Load) -> None:
    spot = ("- name: paper_perpetual", "- name: paper_perpetual\n    kind: spot")
    with pytest.raises(ConfigError) as caught:
        load(spot, ("executors:", POSITION), ("tick: 0.1", "tick: 0.1\n    funding: {rate: 0.01}"))
    text = "\n".join(caught.value.problems)
    assert "initial_positions.0.side: paper_perpetual:BTC-USDT is a spot market" in text
    assert "markets.0.funding: paper_perpetual is a spot venue: no funding" in text


def test_funding_has_a_rate_and_an_interval(load: Load) -> None:
    assert load().funding == ()
    (schedule,) = load(("tick: 0.1", "tick: 0.1\n    funding: {rate: -0.0001}")).funding
    assert schedule.rate_ppb == -100_000
    assert schedule.next_ns(8 * 3600 * 10**9) == 16 * 3600 * 10**9, "the next one, not this one"
    with pytest.raises(ConfigError) as caught:
        load(("tick: 0.1", "tick: 0.1\n    funding: {rate: 0.5, interval: 0s}"))
    text = "\n".join(caught.value.problems)
    assert "markets.0.funding.rate" in text
    assert "markets.0.funding.interval" in text


def test_a_list_of_wrong_items_is_not_called_too_short(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(("lot: 0.0001", "lot: none"))
    (problem,) = caught.value.problems
    assert "markets.0.lot: 'none' is not allowed" in problem
    with pytest.raises(ConfigError) as caught:
        load(("venues:\n  - name: paper_perpetual\n", "venues: []\n"))
    assert any("venues: a list is not allowed" in text for text in caught.value.problems)
