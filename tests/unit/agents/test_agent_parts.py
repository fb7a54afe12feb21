"""Context, picture, gauge, loading, and the section of the session file."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.agents.config import AgentSection
from engine.agents.context import AgentContext
from engine.agents.loading import AgentLoadError, load_agent_class
from engine.agents.market_gauge import MarketGauge, moves
from engine.agents.picture import MarketFacts
from engine.agents.ports import EngineAgent
from engine.agents.samples.drawdown_guard import DrawdownGuard
from engine.agents.session_agent import SessionAgent
from engine.flow.errors import OperationError
from engine.scheduling.errors import AgentConfigError
from engine.testing.small_session import MARKET, instrument_of
from tests.unit.agents.conftest import Desk

pytestmark = pytest.mark.anyio

OWN = """
from engine.agents.session_agent import SessionAgent

class Mine(SessionAgent):
    async def _run_cycle(self, resource_pool):
        return {"note": self.context.picture().name}

class Other:
    pass

NUMBER = 1
"""


def section(**values: Any) -> AgentSection:
    return AgentSection.model_validate({"id": "a", **values})


# --- loading -------------------------------------------------------------------------------------


def test_a_shipped_agent_is_found_by_its_type(tmp_path: Path) -> None:
    assert load_agent_class(section(type="drawdown_guard"), base_dir=tmp_path) is DrawdownGuard


async def test_an_own_agent_beside_the_session_file(tmp_path: Path, desk: Desk) -> None:
    (tmp_path / "own_agents_1.py").write_text(OWN, encoding="utf-8")
    named = section(**{"class": "own_agents_1:Mine"})
    kind = load_agent_class(named, base_dir=tmp_path)
    assert load_agent_class(named, base_dir=tmp_path) is kind
    agent = kind("mine")
    desk.attach(agent)
    await agent.execute_cycle(None)
    assert agent.note == "main"


def test_an_own_module_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(OWN, encoding="utf-8")
    kind = load_agent_class(section(**{"class": "json:Mine"}), base_dir=tmp_path)
    assert issubclass(kind, SessionAgent)
    assert sys.modules["json"] is json
    other = tmp_path / "other"
    other.mkdir()
    (other / "json.py").write_text(OWN, encoding="utf-8")
    assert load_agent_class(section(**{"class": "json:Mine"}), base_dir=other) is not kind


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"type": "crystal_ball"}, "type", "agent type 'crystal_ball' is not known, allowed: draw"),
        ({"class": "own_agents_2:Nobody"}, "class", "module own_agents_2 has no Nobody"),
        ({"class": "own_agents_2:Other"}, "class", "is no subclass of engine.agents.session_agent"),
        ({"class": "own_agents_2:NUMBER"}, "class", "is no subclass"),
        ({"class": "no_such_module_x:Mine"}, "class", "module no_such_module_x was not found"),
        ({"class": "broken_agents:Mine"}, "class", "cannot be imported: ZeroDivisionError"),
        ({"class": "needs_more:Mine"}, "class", "No module named 'not_installed_x'"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    values: dict[str, str], field: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "own_agents_2.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "broken_agents.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "needs_more.py").write_text("import not_installed_x", encoding="utf-8")
    with pytest.raises(AgentLoadError) as caught:
        load_agent_class(section(**values), base_dir=tmp_path)
    assert caught.value.field == field
    assert text in caught.value.message


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"type": "drawdown_guard", "class": "a:B"},
        {"class": "import os; os.system('x')"},
        {"class": "a:b:c"},
        {"class": "../a:B"},
        {"type": "x", "interval": 0},
        {"type": "x", "priority": "urgent"},
        {"type": "x", "unheard_of": 1},
        {"type": "x", "id": "with space"},
    ],
)
def test_a_bad_section_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgentSection.model_validate({"id": "a", **values})


def test_only_what_is_said_goes_to_the_agent_and_decimals_as_text() -> None:
    given = section(
        type="x", interval=Decimal("2.5"), params={"a": Decimal("0.10"), "b": [Decimal(1)]}
    )
    assert given.agent_config == {
        "interval": 2.5, "repeat": True, "params": {"a": "0.10", "b": ["1"]},
    }  # fmt: skip


# --- agent and context ---------------------------------------------------------------------------


class Limits(BaseModel):
    """Parameters of a test agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    most: int = 3


class Worker(SessionAgent):
    """Says how much it may."""

    params_model = Limits

    async def _run_cycle(self, resource_pool: object) -> dict[str, object]:
        return {"note": f"at most {self.params.most}"}


async def test_parameters_are_checked_at_once_and_when_they_change() -> None:
    with pytest.raises(
        AgentConfigError, match=r"agent w: params\.most: Input should be a valid int"
    ):
        Worker("w", {"params": {"most": "many"}})
    agent = Worker("w", {"params": {"most": "5"}})
    await agent.execute_cycle(None)
    assert agent.note == "at most 5"
    with pytest.raises(AgentConfigError):
        await agent.update_config({"params": {"least": 1}})
    assert agent.params.most == 5
    await agent.update_config({"params": {"most": 7}})
    await agent.execute_cycle(None)
    assert agent.note == "at most 7"


async def test_an_agent_without_a_session_says_so() -> None:
    with pytest.raises(RuntimeError, match="has no session"):
        _ = Worker("w").context

    class Own(EngineAgent):
        async def _run_cycle(self, resource_pool: object) -> None:
            return None

    with pytest.raises(RuntimeError, match="has no session"):
        _ = Own("o").ports


async def test_a_context_asks_in_the_agents_name(desk: Desk) -> None:
    worker = Worker("w")
    desk.attach(worker)
    context = worker.context
    created = await context.create_executor(
        "position_executor",
        {
            "connector_name": "sim", "trading_pair": "AAA-USDT", "side": "BUY", "amount": "1",
            "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.1"},
        },
    )  # fmt: skip
    assert created.ok
    executor_id = str(created.executor_id)
    assert desk.session.snapshot(executor_id).controller_id == "w"
    picture = context.picture()
    (executor,) = picture.executors(controller_id="w")
    assert (executor.id, executor.filled_amount) == (executor_id, Decimal("1.000"))
    assert [one.amount for one in picture.positions()] == [Decimal("1.000")]
    account = picture.account
    assert account.equity == account.initial_equity + account.unrealized_pnl - account.fees
    assert (await context.stop_executor(executor_id, keep_position=True)).ok
    desk.session.quote(2, "9.99", "10.01")
    assert not list(context.picture().executors())
    assert len(list(context.picture().executors(active=False))) == 1
    assert not (await context.update_executor("x", {"stop_loss": "0.1"})).ok
    context.raise_alert("look", key="k", level="error")
    assert desk.raised == {"w:k": ("w: look", "error")}
    context.clear_alert("k")
    assert not desk.raised


def test_before_the_first_picture_there_is_none() -> None:
    async def act(*_: object) -> Any:
        raise AssertionError

    desk = Desk(session=None)  # type: ignore[arg-type]  # nothing of it is used
    context = AgentContext(
        agent_id="w", published=lambda: None, act=act, alerts=desk, market_condition=desk.set_market
    )
    assert context.find_picture() is None
    with pytest.raises(OperationError, match="nothing yet"):
        context.picture()


async def test_a_picture_of_markets(desk: Desk) -> None:
    worker = Worker("w")
    desk.attach(worker)
    desk.session.timer(4)
    picture = worker.context.picture()
    first, second = picture.markets()
    assert (first.mid, first.age_s, second.mid, second.age_s) == (Decimal("10.00"), 3.0, None, None)
    assert first.trend == (10.0,)
    assert picture.market("sim", "AAA-USDT") == first
    assert picture.market("sim", "X-Y") is None
    assert picture.state == "created"
    assert not list(picture.executors(executor_type="dca_executor"))


# --- gauge ---------------------------------------------------------------------------------------


def facts(*mids: float, spread: str = "0.02") -> MarketFacts:
    bid = Decimal("9.99")
    return MarketFacts(instrument_of(MARKET), bid, bid + Decimal(spread), 0.0, tuple(mids))


def test_a_market_as_usual_is_in_the_middle() -> None:
    gauge = MarketGauge()
    looks = [gauge.look([facts(10, 10.01, 10)], inputs=10 * n, at_s=float(n)) for n in range(1, 6)]
    assert looks[-1].volatility == looks[-1].trading_volume == looks[-1].liquidity == 0.5


def test_more_movement_and_less_spread_count() -> None:
    gauge = MarketGauge()
    gauge.look([facts(10, 10.01, 10)], inputs=0, at_s=0.0)
    gauge.look([facts(10, 10.01, 10)], inputs=10, at_s=1.0)
    look = gauge.look([facts(10, 10.05, 10.1, spread="0.01")], inputs=60, at_s=2.0)
    assert look.volatility > 0.7
    assert look.trading_volume > 0.7
    assert look.liquidity > 0.6
    assert look.trend > 0.6


def test_nothing_known_is_as_usual() -> None:
    look = MarketGauge().look([facts()], inputs=0, at_s=0.0)
    assert (look.volatility, look.trading_volume, look.trend) == (0.5, 0.5, 0.0)
    assert moves((10.0,)) == (0.0, 0.0)
    assert moves((10.0, 10.0)) == (0.0, 0.0)
