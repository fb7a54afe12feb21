"""Sessions with many executors: their configuration, and containers that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import yaml

from engine.api.build import build_container
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.effects import Effects
from engine.containers.inputs import ActionInput
from engine.containers.session_container import SessionContainer
from engine.markets.merged_feed import MergedFeed
from engine.model.clock import from_iso
from engine.model.quotes import QuoteTick

START: Final = "2026-01-05T08:00:00Z"
START_NS: Final = from_iso(START)
VENUE: Final = "paper_perpetual"
PAIRS: Final = (("BTC-USDT", 64_000, "0.1"), ("ETH-USDT", 3_200, "0.01"))


def write_session(
    path: Path,
    *,
    executors: int,
    is_fast: bool = True,
    end_after: str | None = None,
    quotes_per_s: float = 25,
    near_pct: float | None = None,
    agents: Sequence[dict[str, Any]] = (),
) -> Path:
    """Write a session file with *executors* position executors on two synthetic markets.

    Their barriers are too far away to be reached; with *near_pct* the stop losses are spread
    evenly over the next ``near_pct`` of the price, so that quotes fire some of them. *agents* are
    sections of the file.
    """
    session: dict[str, Any] = {"name": "crowd", "mode": "paper", "seed": 7, "on_end": "keep"}
    session |= {"speed": "max", "start": START} if is_fast else {"speed": 1}
    if end_after is not None:
        session["end_after"] = end_after
    document = {
        "version": 1,
        "session": session,
        "account": {"currency": "USDT", "initial_balance": 1_000_000_000},
        "venues": [{"name": VENUE, "kind": "perpetual"}],
        "markets": [_market(pair, price, tick, quotes_per_s) for pair, price, tick in PAIRS],
        "executors": [executor_config(number, executors, near_pct) for number in range(executors)],
        "agents": list(agents),
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def _market(pair: str, price: int, tick: str, quotes_per_s: float) -> dict[str, Any]:
    source = {"kind": "synthetic", "start_price": price, "intensity_per_s": quotes_per_s}
    return {"venue": VENUE, "pair": pair, "tick": tick, "lot": "0.001", "source": source}


def executor_config(number: int, count: int, near_pct: float | None) -> dict[str, Any]:
    """Return the configuration of executor *number* of *count*, with its type."""
    stop_loss = 0.5 if near_pct is None else 0.002 + near_pct * (number + 1) / count
    return {
        "type": "position_executor",
        "connector_name": VENUE,
        "trading_pair": PAIRS[number % len(PAIRS)][0],
        "side": ("BUY", "SELL")[number // len(PAIRS) % 2],
        "amount": "0.01",
        "leverage": 20,
        "triple_barrier_config": {
            "open_order_type": "MARKET",
            "stop_loss": f"{stop_loss:.6f}",
            "take_profit": "0.5",
            "time_limit": 864_000 + number,
        },
    }


class Crowd:
    """A container in which many executors are at work, and quotes for it.

    ``effects`` is what their creation caused.
    """

    def __init__(self, folder: Path, *, executors: int, near_pct: float | None = None) -> None:
        self.plan: SessionPlan = load_session_plan(
            write_session(folder / "crowd.yaml", executors=0)
        )
        self.container: SessionContainer = build_container(
            self.plan, container_id="bench", start_ns=START_NS
        )
        self._quotes = _quotes_only(self.plan)
        self.effects: list[Effects] = [
            self.container.apply(quote) for quote in self.take(len(self.plan.sources))
        ]
        now_ns = self.container.clock.now_ns()
        for number in range(executors):
            config = executor_config(number, executors, near_pct)
            arguments = {
                "executor_type": config.pop("type"),
                "config": config,
                "controller_id": "main",
            }
            item = ActionInput(now_ns, f"r{number}", "bench", "create", arguments)
            self.effects.append(self.container.apply(item))

    @property
    def active(self) -> int:
        """Return how many executors are at work."""
        return sum(executor.is_active for executor in self.container.orchestrator.executors())

    def take(self, count: int) -> list[QuoteTick]:
        """Return the next *count* quotes of the session's markets."""
        return list(islice(self._quotes, count))


def _quotes_only(plan: SessionPlan) -> Iterator[QuoteTick]:
    for item in MergedFeed(plan.sources, start_ns=START_NS):
        if isinstance(item, QuoteTick):
            yield item
