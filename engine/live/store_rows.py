"""Facts of the core as rows of the store: the edge where integers become decimals."""

from __future__ import annotations

import json
from decimal import Decimal

from engine.executors.base import ExecutorBase
from engine.executors.performance import PerformanceReport
from engine.model.instruments import Instrument
from engine.model.orders import Fill, Order
from engine.model.quotes import QuoteTick
from engine.portfolio.snapshots import AccountSnapshot, PositionSnapshot
from engine.store.records import (
    EquityRecord,
    ExecutorRecord,
    FillRecord,
    OrderRecord,
    PerformanceRecord,
    PositionRecord,
)


def order_record(session_id: str, order: Order, instrument: Instrument) -> OrderRecord:
    """Return *order* as a row."""
    request = order.request
    return OrderRecord(
        session_id=session_id,
        client_order_id=request.client_order_id,
        executor_id=request.executor_id,
        role=request.role,
        connector_name=request.market.connector_name,
        trading_pair=request.market.trading_pair,
        side=request.side.name,
        order_type=request.order_type.name,
        price=None if request.limit_ticks is None else instrument.price(request.limit_ticks),
        amount=instrument.qty(request.lots),
        filled_amount=instrument.qty(order.filled_lots),
        filled_quote=instrument.money(order.filled_atoms),
        fee_quote=instrument.money(order.fee_atoms),
        state=order.status.name,
        reason=order.reason,
        created_ns=order.created_ns,
        updated_ns=order.updated_ns,
    )


def fill_record(session_id: str, fill: Fill, instrument: Instrument) -> FillRecord:
    """Return *fill* as a row."""
    return FillRecord(
        session_id=session_id,
        fill_id=fill.fill_id,
        client_order_id=fill.client_order_id,
        executor_id=fill.executor_id,
        role=fill.role,
        connector_name=fill.market.connector_name,
        trading_pair=fill.market.trading_pair,
        side=fill.side.name,
        price=instrument.price(fill.ticks),
        amount=instrument.qty(fill.lots),
        quote=instrument.money(fill.notional_atoms),
        fee_quote=instrument.money(fill.fee_atoms),
        fee_base=instrument.qty(fill.fee_base_lots),
        is_maker=fill.is_maker,
        ts_ns=fill.ts_ns,
    )


def position_record(
    session_id: str, position: PositionSnapshot, *, held: Decimal, now_ns: int
) -> PositionRecord:
    """Return *position* as a row."""
    return PositionRecord(
        session_id=session_id,
        connector_name=position.market.connector_name,
        trading_pair=position.market.trading_pair,
        side=position.side.name,
        amount=position.amount,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        realized_pnl=position.realised,
        unrealized_pnl=position.unrealised,
        fees=position.fees,
        held=held,
        updated_ns=now_ns,
        funding=position.funding,
    )


def equity_record(session_id: str, account: AccountSnapshot, *, now_ns: int) -> EquityRecord:
    """Return *account* as a sample."""
    return EquityRecord(
        session_id=session_id,
        ts_ns=now_ns,
        equity=account.equity,
        realized_pnl=account.realised,
        unrealized_pnl=account.unrealised,
        fees=account.fees,
        funding=account.funding,
    )


def executor_record(
    session_id: str,
    executor: ExecutorBase,
    quote: QuoteTick | None,
    *,
    now_ns: int,
    is_archived: bool,
) -> ExecutorRecord:
    """Return *executor* at *quote* as a row, with the blob from which it can be resumed."""
    snapshot = executor.snapshot()
    money = snapshot.instrument.money
    mark_ticks = snapshot.mark_of(quote)
    close_type = snapshot.close_type
    return ExecutorRecord(
        session_id=session_id,
        executor_id=snapshot.id,
        controller_id=snapshot.controller_id,
        type=snapshot.type,
        status=snapshot.status.name,
        close_type=None if close_type is None else close_type.name,
        created_ns=snapshot.created_ns,
        updated_ns=now_ns,
        closed_ns=snapshot.closed_ns,
        config=snapshot.config.model_dump(mode="json"),
        state=executor.runtime_state(),
        final_info=json.loads(executor.executor_info.to_json()) if snapshot.is_done else None,
        net_pnl_quote=money(snapshot.net_pnl_atoms(mark_ticks)),
        net_pnl_pct=snapshot.net_pnl_pct(mark_ticks),
        fees_quote=money(snapshot.fee_atoms),
        filled_amount_quote=money(snapshot.filled_atoms),
        is_archived=is_archived,
        is_handed_over=snapshot.is_handed_over,
    )


def performance_record(
    session_id: str, controller_id: str, report: PerformanceReport, *, now_ns: int
) -> PerformanceRecord:
    """Return a controller's *report* as a sample."""
    return PerformanceRecord(
        session_id=session_id,
        controller_id=controller_id,
        ts_ns=now_ns,
        realized_pnl=report.realized_pnl_quote,
        unrealized_pnl=report.unrealized_pnl_quote,
        volume=report.volume_traded,
        fees=report.total_fees_quote,
        wins=report.wins,
        losses=report.losses,
        active=report.active,
        done=report.done,
        close_types={key.name: count for key, count in report.close_type_counts.items()},
        funding=report.funding_quote,
    )
