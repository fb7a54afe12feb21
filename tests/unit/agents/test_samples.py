"""What the sample agents do in a session whose quotes are written by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from engine.agents.catalogue import sample_types
from engine.agents.samples.drawdown_guard import DrawdownGuard
from engine.agents.samples.exposure_rebalancer import ExposureRebalancer
from engine.agents.samples.http_prices import HttpPrices
from engine.agents.samples.local_price_server import LocalPriceServer
from engine.agents.samples.volatility_watcher import VolatilityWatcher, expected_move
from engine.agents.session_agent import SessionAgent
from engine.executors.actions import ActionCode, ActionResult
from engine.flow.errors import OperationError
from engine.scheduling.errors import AgentConfigError
from engine.strategies.controller import ControllerContext, ControllerProposal, CreateProposal
from tests.unit.agents.conftest import Desk

pytestmark = pytest.mark.anyio
MARKET = {"connector_name": "sim", "trading_pair": "AAA-USDT"}
REFUSED = ActionResult(ok=False, code=ActionCode.SESSION_STOPPING, message="stopping")


def make(kind: type[SessionAgent], desk: Desk, **params: Any) -> Any:
    agent = kind("agent", {"params": params})
    desk.attach(agent)
    return agent


async def cycle(agent: SessionAgent, pool: object = None) -> dict[str, Any]:
    results: dict[str, Any] = (await agent.execute_cycle(pool))["results"]
    return results


# --- volatility watcher --------------------------------------------------------------------------


def wander(desk: Desk, *, start: int, seconds: int, step: float) -> None:
    for second in range(start, start + seconds):
        bid = 10 + (step if second % 2 else -step)
        desk.session.quote(second, f"{bid:.2f}", f"{bid + 0.02:.2f}")


def progressive(desk: Desk) -> str:
    result = desk.session.act(
        "create",
        executor_type="progressive_executor",
        config={
            **MARKET, "side": "BUY", "amount": "2", "pnl_relaxation": 0,
            "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.2"},
        },
    )  # fmt: skip
    assert result.executor_id is not None, result.message
    return result.executor_id


async def test_the_watcher_passes_a_changed_volatility_on(desk: Desk) -> None:
    executor_id = progressive(desk)
    agent = make(VolatilityWatcher, desk, **MARKET, horizon_s=4, min_samples=5, step=0.2)
    assert (await cycle(agent))["note"] == "1 of 5 samples"
    wander(desk, start=2, seconds=20, step=0.02)
    first = await cycle(agent)
    assert first["updated"] == 1
    ((actor, verb, arguments),) = desk.asked
    assert (actor, verb, arguments["executor_id"]) == ("agent", "update", executor_id)
    config: Any = desk.session.snapshot(executor_id).config
    assert config.triple_barrier_config.stop_loss == Decimal(
        f"{first['volatility']:.6f}"
    ) * Decimal("1.1")
    assert (await cycle(agent))["updated"] == 0
    wander(desk, start=30, seconds=60, step=0.06)
    assert (await cycle(agent))["updated"] == 1
    assert agent.metrics["updates"] == 2


async def test_a_refused_update_is_tried_again(desk: Desk) -> None:
    progressive(desk)
    agent = make(VolatilityWatcher, desk, **MARKET, horizon_s=4, min_samples=5)
    wander(desk, start=2, seconds=20, step=0.02)
    desk.refusal = REFUSED
    assert (await cycle(agent))["updated"] == 0
    assert "refused: stopping" in agent.log_lines()[-1].text
    desk.refusal = None
    assert (await cycle(agent))["updated"] == 1


async def test_a_market_that_is_not_traded_is_an_error(desk: Desk) -> None:
    agent = make(VolatilityWatcher, desk, connector_name="sim", trading_pair="X-USDT")
    with pytest.raises(ValueError, match="does not trade sim:X-USDT"):
        await cycle(agent)


def test_the_expected_move_grows_with_the_root_of_time() -> None:
    mids = [100.0, 101.0, 100.0, 101.0]
    assert expected_move(mids, 4) == pytest.approx(2 * expected_move(mids, 1))
    assert expected_move([100.0], 4) == 0.0


# --- drawdown guard ------------------------------------------------------------------------------


class Keeper:
    """Keeps one long executor alive."""

    controller_id = "main-2"

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        if any(facts.is_active for facts in context.executors):
            return []
        config: dict[str, object] = {
            **MARKET, "side": "BUY", "amount": "100",
            "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.5"},
        }  # fmt: skip
        return [CreateProposal("position_executor", config)]


async def test_the_guard_stops_the_controller_and_lets_it_go_on(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(controllers=[Keeper()])
    session = desk.session
    session.timer(2)
    session.quote(3, "9.99", "10.01")
    agent = make(DrawdownGuard, desk, controllers=["main-2"], max_drawdown_pct="0.0005", pause_s=10)
    assert "drawdown 0.0" in (await cycle(agent))["note"]
    session.quote(4, "9.00", "9.02")
    assert "stopped main-2" in (await cycle(agent))["note"]
    assert [(verb, args["controller_id"]) for _, verb, args in desk.asked] == [
        ("stop_controller", "main-2")
    ]
    assert "main-2 stopped" in desk.told[0]
    session.quote(5, "9.00", "9.02")
    assert not any(one.is_active for one in session.container.orchestrator.executors())
    session.timer(6)
    assert session.container.executor_count == 1
    assert "s left" in (await cycle(agent))["note"]
    session.quote(16, "9.00", "9.02")
    assert (await cycle(agent))["note"] == "controllers go on"
    assert not desk.raised
    session.timer(17)
    assert session.container.executor_count == 2
    assert (await cycle(agent))["drawdown"] < 0.0005


async def test_a_guard_without_a_pause_waits_for_somebody(desk: Desk) -> None:
    agent = make(DrawdownGuard, desk, controllers=["x"], max_drawdown_pct="0.5")
    agent._stopped_ns = 1
    assert (await cycle(agent))["note"] == "controllers are stopped"


async def test_a_stop_that_is_refused_fails_the_cycle(desk: Desk) -> None:
    session = desk.session
    session.create(amount="100", triple_barrier_config={"open_order_type": "MARKET"})
    agent = make(DrawdownGuard, desk, controllers=["nobody"], max_drawdown_pct="0.0001")
    await cycle(agent)
    session.quote(2, "9.00", "9.02")
    with pytest.raises(OperationError, match="there is no controller 'nobody'"):
        await cycle(agent)
    assert agent._stopped_ns is None


# --- exposure rebalancer -------------------------------------------------------------------------


async def test_the_rebalancer_trades_the_excess_once(desk: Desk) -> None:
    session = desk.session
    session.create(amount="100", triple_barrier_config={"open_order_type": "MARKET"})
    session.quote(2, "9.99", "10.01")
    agent = make(ExposureRebalancer, desk, **MARKET, target_quote=200, band_quote=100)
    result = await cycle(agent)
    assert result["exposure"] == pytest.approx(1000, rel=0.01)
    (_, verb, arguments) = desk.asked[0]
    assert (verb, arguments["config"]["side"]) == ("create", "SELL")
    assert Decimal(arguments["config"]["amount"]) == pytest.approx(Decimal(80), rel=Decimal("0.01"))
    assert arguments["controller_id"] == "agent"
    session.quote(3, "9.99", "10.01")
    assert "in its band" in (await cycle(agent))["note"]
    assert len(desk.asked) == 1
    assert agent.metrics["trades"] == 1


async def test_the_rebalancer_waits_for_its_own_order(desk: Desk) -> None:
    agent = make(ExposureRebalancer, desk, **MARKET, target_quote=500, band_quote=10)
    desk.session.act(
        "create",
        executor_type="order_executor",
        controller_id="agent",
        config={
            **MARKET,
            "side": "BUY",
            "amount": "1",
            "execution_strategy": "LIMIT",
            "price": "5",
        },
    )
    assert "an order works" in (await cycle(agent))["note"]
    assert not desk.asked


async def test_what_is_too_little_is_not_traded_and_a_refusal_is_an_error(desk: Desk) -> None:
    agent = make(ExposureRebalancer, desk, **MARKET, target_quote="0.015", band_quote="0.001")
    assert "too little" in (await cycle(agent))["note"]
    agent = make(ExposureRebalancer, desk, **MARKET, target_quote=500, band_quote=10)
    desk.refusal = REFUSED
    with pytest.raises(OperationError, match=r"BUY .*: stopping"):
        await cycle(agent)
    other = make(
        ExposureRebalancer, desk, connector_name="sim", trading_pair="BBB-USDT", band_quote=1
    )
    with pytest.raises(OperationError, match="no price of sim:BBB-USDT"):
        await cycle(other)


# --- HTTP prices ---------------------------------------------------------------------------------


class FakePool:
    """Answers requests with what it was given, oldest first."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []

    async def http_request(self, method: str, url: str, **kwargs: Any) -> tuple[int, object]:
        assert (method, kwargs) == ("GET", {"api_name": "prices", "rate_limit": 30})
        self.urls.append(url)
        return self.answers.pop(0)

    async def cache_get_or_set(self, key: str, factory: Any, ttl: float) -> Any:
        assert (key, ttl) == ("price:prices:AAA-USDT", 2.0)
        return await factory()


async def test_a_fetched_price_is_compared(desk: Desk) -> None:
    agent = make(HttpPrices, desk, **MARKET, url="http://prices.invalid/")
    pool = FakePool((200, {"mid": "10.001"}), (200, {"mid": "12"}), (200, {"mid": "10"}))
    assert (await cycle(agent, pool))["note"] == "AAA-USDT 10.001, +1.00 bp off"
    assert pool.urls == ["http://prices.invalid/price/AAA-USDT"]
    await cycle(agent, pool)
    assert desk.told == ["agent: AAA-USDT is +20.00% away from the session's price"]
    await cycle(agent, pool)
    assert not desk.raised


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((503, {"detail": "try again"}), "answered 503"),
        ((200, "text"), "answered 200: text"),
        ((200, {"mid": "soon"}), "gave no price: 'soon'"),
        ((200, {}), "gave no price: None"),
        ((200, {"mid": "NaN"}), "gave no price"),
        ((200, {"mid": -1}), "gave no price: -1"),
    ],
)
async def test_an_answer_without_a_price_is_an_error(
    answer: tuple[int, object], problem: str, desk: Desk
) -> None:
    agent = make(HttpPrices, desk, **MARKET, url="http://prices.invalid")
    with pytest.raises(OperationError, match=problem):
        await cycle(agent, FakePool(answer))


async def test_the_agent_serves_prices_itself_while_it_runs(desk: Desk) -> None:
    agent = make(HttpPrices, desk, **MARKET)
    await agent.start()
    server: LocalPriceServer = agent._server
    assert server.url.startswith("http://127.0.0.1:")
    assert server._answer("GET /price/AAA-USDT HTTP/1.1")[0] == "200 OK"
    assert server._answer("GET /price/AAA-USDT HTTP/1.1")[1]["mid"] == "10.00"
    assert server._answer("GET /price/X-Y HTTP/1.1")[0] == "404 Not Found"
    assert server._answer("POST /price/AAA-USDT HTTP/1.1")[0] == "404 Not Found"
    assert server._answer("\xff")[0] == "404 Not Found"
    statuses = [server._answer("GET /price/AAA-USDT HTTP/1.1")[0] for _ in range(9)]
    assert statuses.count("503 Service Unavailable") == 1
    await agent.stop()
    assert server.url == ""
    assert agent._server is None


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(sample_types()))
def test_every_sample_says_what_it_does_and_checks_its_parameters(name: str) -> None:
    kind = sample_types()[name]
    assert kind.summary
    assert not kind.summary.endswith(".")
    with pytest.raises(AgentConfigError, match="agent a: params"):
        kind("a", {"params": {"unheard_of": 1}})
