"""What happened in a scenario, as values for JSON: decimals as text, times in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.executors.info import ExecutorInfo
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.performance import PerformanceReport
from engine.executors.status import CloseType
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
    timeline: tuple[dict[str, Any], ...]
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
            "timeline": list(self.timeline),
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
    told = tuple(notices)
    return ScenarioReport(
        orders=tuple(_order(order, instruments[order.request.market]) for order in orders),
        cancels=tuple({"at": to_iso(at), "client_order_id": one} for at, one in cancels),
        transitions=tuple(
            {
                "at": to_iso(notice.ts_ns),
                "executor_id": notice.executor_id,
                "from": notice.change.old.name,
                "to": notice.change.new.name,
                "close_type": _name(notice.change.close_type),
                "text": notice.text,
            }
            for notice in told
            if notice.change is not None
        ),
        timeline=tuple(_line(notice) for notice in told if notice.executor_id),
        results=tuple(
            {"at": to_iso(at), "verb": verb, "code": code, "message": message}
            for at, verb, code, message in results
        ),
        notices=tuple(_line(notice) for notice in told),
        executors=tuple(_executor(executor.executor_info) for executor in executors if executor),
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
            "funding": _text(account.funding),
        },
    )


def _line(notice: Notice) -> dict[str, Any]:
    return {
        "at": to_iso(notice.ts_ns),
        "level": notice.level,
        "executor_id": notice.executor_id,
        "text": notice.text,
    }


def _executor(info: ExecutorInfo) -> dict[str, Any]:
    """Return the stored form of *info* and, beside it, what derives from it (13.1)."""
    return {
        **json.loads(info.to_json()),
        "is_done": info.is_done,
        "lifecycle": info.lifecycle.value,
        "side": None if info.side is None else info.side.name,
        "connector_name": info.connector_name,
        "trading_pair": info.trading_pair,
    }


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
        "connector_name": summary.connector_name,
        "trading_pair": summary.trading_pair,
        "side": summary.side.name,
        "position_side": summary.position_side.value,
        "amount": _text(summary.amount),
        "amount_quote": _text(summary.amount_quote),
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
        "realized_pnl_pct": _text(report.realized_pnl_pct),
        "unrealized_pnl_pct": _text(report.unrealized_pnl_pct),
        "global_pnl_pct": _text(report.global_pnl_pct),
        "volume_traded": _text(report.volume_traded),
        "total_fees_quote": _text(report.total_fees_quote),
        "win_rate": _text(report.win_rate),
        "wins": report.wins,
        "losses": report.losses,
        "total_amount_quote": _optional(report.total_amount_quote),
        "return_on_capital": _optional(report.return_on_capital),
        "active": report.active,
        "done": report.done,
        "close_type_counts": {
            key.name: count
            for key, count in sorted(
                report.close_type_counts.items(), key=lambda item: item[0].value
            )
        },
        "positions_summary": [_position(summary) for summary in report.positions_summary],
    }


def _name(close_type: CloseType | None) -> str | None:
    return None if close_type is None else close_type.name


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else _text(value)


def _text(value: Decimal) -> str:
    return f"{value:f}"
