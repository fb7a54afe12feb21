"""What happened in a scenario, as values for JSON: decimals as text, times in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.performance import PerformanceReport
from engine.executors.step import Notice
from engine.model.clock import to_iso
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Order
from engine.portfolio.snapshots import AccountSnapshot


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """Everything that a scenario did, in the order in which it happened."""

    orders: tuple[dict[str, Any], ...]
    cancels: tuple[dict[str, Any], ...]
    transitions: tuple[dict[str, Any], ...]
    results: tuple[dict[str, Any], ...]
    notices: tuple[dict[str, Any], ...]
    executors: tuple[dict[str, Any], ...]
    positions: tuple[dict[str, Any], ...]
    performance: dict[str, dict[str, Any]]
    account: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        return {
            "orders": list(self.orders),
            "cancels": list(self.cancels),
            "transitions": list(self.transitions),
            "results": list(self.results),
            "notices": list(self.notices),
            "executors": list(self.executors),
            "positions": list(self.positions),
            "performance": self.performance,
            "account": self.account,
        }


def scenario_report(
    *,
    orchestrator: ExecutorOrchestrator,
    executor_ids: Iterable[str],
    orders: Iterable[Order],
    instruments: Mapping[ConnectorPair, Instrument],
    cancels: Iterable[tuple[int, str]],
    notices: Iterable[Notice],
    results: Iterable[tuple[int, str, str, str]],
    account: AccountSnapshot,
) -> ScenarioReport:
    """Return the report of a scenario that has been played."""
    executors = [orchestrator.find(executor_id) for executor_id in executor_ids]
    return ScenarioReport(
        orders=tuple(_order(order, instruments[order.request.market]) for order in orders),
        cancels=tuple({"at": to_iso(at), "client_order_id": one} for at, one in cancels),
        transitions=tuple(
            {
                "at": to_iso(entry.ts_ns),
                "executor_id": executor.executor_id,
                "level": entry.level,
                "text": entry.text,
            }
            for executor in executors
            if executor is not None
            for entry in executor.snapshot().timeline
        ),
        results=tuple(
            {"at": to_iso(at), "verb": verb, "code": code, "message": message}
            for at, verb, code, message in results
        ),
        notices=tuple(
            {
                "at": to_iso(notice.ts_ns),
                "level": notice.level,
                "executor_id": notice.executor_id,
                "text": notice.text,
            }
            for notice in notices
        ),
        executors=tuple(
            json.loads(executor.executor_info.to_json())
            for executor in executors
            if executor is not None
        ),
        positions=tuple(
            _position(summary)
            for summaries in orchestrator.get_positions_report().values()
            for summary in summaries
        ),
        performance={
            controller_id: _performance(report.performance)
            for controller_id, report in orchestrator.get_all_reports().items()
        },
        account={
            "equity": _text(account.equity),
            "realized_pnl": _text(account.realised),
            "unrealized_pnl": _text(account.unrealised),
            "fees": _text(account.fees),
        },
    )


def _order(order: Order, instrument: Instrument) -> dict[str, Any]:
    request = order.request
    limit = request.limit_ticks
    return {
        "seq": order.seq,
        "at": to_iso(order.created_ns),
        "client_order_id": request.client_order_id,
        "executor_id": request.owner_id,
        "role": request.role,
        "market": str(request.market),
        "side": request.side.name,
        "type": request.order_type.name,
        "position_action": request.position_action.value,
        "price": None if limit is None else _text(instrument.price(limit)),
        "amount": _text(instrument.qty(request.lots)),
        "filled": _text(instrument.qty(order.filled_lots)),
        "filled_quote": _text(instrument.money(order.filled_atoms)),
        "fee_quote": _text(instrument.money(order.fee_atoms)),
        "state": order.status.name,
        "reason": order.reason,
    }


def _position(summary: Any) -> dict[str, Any]:  # noqa: ANN401 (a PositionSummary; its fields are listed)
    return {
        "controller_id": summary.controller_id,
        "market": f"{summary.connector_name}:{summary.trading_pair}",
        "side": summary.side.name,
        "amount": _text(summary.amount),
        "breakeven_price": _text(summary.breakeven_price),
        "realized_pnl_quote": _text(summary.realized_pnl_quote),
        "unrealized_pnl_quote": _text(summary.unrealized_pnl_quote),
        "cum_fees_quote": _text(summary.cum_fees_quote),
        "volume_traded_quote": _text(summary.volume_traded_quote),
        "global_pnl_quote": _text(summary.global_pnl_quote),
    }


def _performance(report: PerformanceReport) -> dict[str, Any]:
    return {
        "realized_pnl_quote": _text(report.realized_pnl_quote),
        "unrealized_pnl_quote": _text(report.unrealized_pnl_quote),
        "funding_quote": _text(report.funding_quote),
        "global_pnl_quote": _text(report.global_pnl_quote),
        "global_pnl_pct": _text(report.global_pnl_pct),
        "volume_traded": _text(report.volume_traded),
        "total_fees_quote": _text(report.total_fees_quote),
        "win_rate": _text(report.win_rate),
        "active": report.active,
        "done": report.done,
        "close_type_counts": {
            key.name: count
            for key, count in sorted(
                report.close_type_counts.items(), key=lambda item: item[0].value
            )
        },
    }


def _text(value: Decimal) -> str:
    return f"{value:f}"
