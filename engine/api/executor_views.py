"""Executor snapshots as rows: what the console shows of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel

from engine.api.forms import flat_values, value_text
from engine.api.order_views import display_price, fill_row, order_row
from engine.api.views import (
    BarrierRow,
    ConfigField,
    ExecutorDetail,
    ExecutorRow,
    TimelineRow,
)
from engine.executors.factory import ExecutorFactory
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedMarket, PublishedSession
from engine.model.clock import SECOND_NS

TREND_LENGTH = 12
_HIDDEN_CONFIG = frozenset({"id", "timestamp", "controller_id", "type"})


def mark_ticks(snapshot: ExecutorSnapshot, market: PublishedMarket | None) -> int | None:
    """Return where the executor's position could be left now, None if that is unknown."""
    return None if market is None else snapshot.mark_of(market.quote)


def executor_row(snapshot: ExecutorSnapshot, session: PublishedSession) -> ExecutorRow:
    """Return the table's line of one executor at the newest mark."""
    market = session.markets.get(snapshot.market)
    mark = snapshot.frozen_mark_ticks if snapshot.is_done else mark_ticks(snapshot, market)
    instrument = snapshot.instrument
    ended_ns = session.now_ns if snapshot.closed_ns is None else snapshot.closed_ns
    close_type = snapshot.close_type
    return ExecutorRow(
        id=snapshot.id,
        type=snapshot.type.removesuffix("_executor"),
        controller_id=snapshot.controller_id,
        connector_name=snapshot.market.connector_name,
        trading_pair=snapshot.market.trading_pair,
        side=snapshot.side.name,
        lifecycle=snapshot.lifecycle.value,
        close_type=None if close_type is None else close_type.name,
        amount=instrument.qty(snapshot.amount_lots),
        filled_amount=instrument.qty(snapshot.opened_lots),
        entry_price=display_price(snapshot.entry_price, instrument),
        mark_price=None if mark is None else instrument.price(mark),
        net_pnl_quote=instrument.money(snapshot.net_pnl_atoms(mark)),
        net_pnl_pct=snapshot.net_pnl_pct(mark),
        fees_quote=instrument.money(snapshot.fee_atoms),
        volume_quote=instrument.money(snapshot.filled_atoms),
        created_ns=snapshot.created_ns,
        closed_ns=snapshot.closed_ns,
        age_s=max(0, ended_ns - snapshot.created_ns) / SECOND_NS,
        trend=_trend(snapshot, market),
        retries=snapshot.retries,
        last_error=snapshot.last_error,
        stale_price=snapshot.is_stale,
    )


def executor_detail(snapshot: ExecutorSnapshot, session: PublishedSession) -> ExecutorDetail:
    """Return everything about one executor."""
    row = executor_row(snapshot, session)
    mark = mark_ticks(snapshot, session.markets.get(snapshot.market))
    order_ids = {role.client_order_id for role in snapshot.orders}
    orders = [session.orders[key] for key in order_ids if key in session.orders]
    orders.sort(key=lambda order: order.seq, reverse=True)
    fills = [fill for fill in reversed(session.fills) if fill.client_order_id in order_ids]
    return ExecutorDetail(
        row=row,
        config=tuple(_config_fields(snapshot)),
        barriers=tuple(
            BarrierRow(
                name=barrier.kind.replace("_", " "),
                kind=barrier.kind,
                price=barrier.price,
                distance_pct=barrier.distance_pct,
                at_ns=barrier.at_ns,
                note=barrier.note,
            )
            for barrier in snapshot.barriers(mark)
        ),
        orders=tuple(order_row(order, snapshot.instrument) for order in orders),
        fills=tuple(fill_row(fill, snapshot.instrument) for fill in fills),
        timeline=tuple(
            TimelineRow(entry.ts_ns, entry.text, entry.level) for entry in snapshot.timeline
        ),
        max_retries=snapshot.max_retries,
        updatable=ExecutorFactory.get_update_type(type(snapshot.config)) is not None,
        info=tuple(_info(snapshot)),
    )


def _trend(snapshot: ExecutorSnapshot, market: PublishedMarket | None) -> tuple[float, ...]:
    """Return the net PnL over the last seconds: it is linear in the mark between fills."""
    if market is None or not snapshot.opened_lots or snapshot.is_done:
        return ()
    recent = [mid for ts_ns, mid in market.trend if ts_ns >= snapshot.created_ns]
    return tuple(
        float(snapshot.net_pnl_atoms(mid_twice // 2)) for mid_twice in recent[-TREND_LENGTH:]
    )


def _config_fields(snapshot: ExecutorSnapshot) -> Iterable[ConfigField]:
    defaults = default_values(type(snapshot.config))
    for name, value in flat_values(snapshot.config).items():
        if name not in _HIDDEN_CONFIG:
            is_default = name in defaults and defaults[name] == value
            yield ConfigField(name, value_text(value) or "off", is_default=is_default)


def default_values(model: type[BaseModel]) -> dict[str, object]:
    """Return the defaults of a configuration model by dotted name."""
    defaults: dict[str, object] = {}
    for name, info in model.model_fields.items():
        if info.is_required():
            continue
        default = info.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            defaults |= {f"{name}.{key}": value for key, value in flat_values(default).items()}
        else:
            defaults[name] = default
    return defaults


def _info(snapshot: ExecutorSnapshot) -> Iterable[tuple[str, str]]:
    trigger = snapshot.trailing_trigger_pct
    yield "id", snapshot.id
    yield "status", snapshot.status.name
    yield "retries", f"{snapshot.retries} of {snapshot.max_retries}"
    yield "errors", str(snapshot.error_count)
    yield (
        "remaining amount",
        str(snapshot.instrument.qty(snapshot.opened_lots - snapshot.exited_lots)),
    )
    yield (
        "trailing trigger pct",
        "" if trigger is None else str(Decimal(trigger.numerator) / trigger.denominator),
    )
    yield "handed over", "yes" if snapshot.is_handed_over else "no"
    yield "last error", snapshot.last_error
