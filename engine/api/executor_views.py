"""Executor snapshots as rows: what the console shows of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pydantic import BaseModel

from engine.api.executor_facts import ExecutorFacts
from engine.api.forms import flat_values, value_text
from engine.api.order_views import fill_row, order_row
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
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

TREND_LENGTH = 12
_HIDDEN_CONFIG = frozenset({"id", "timestamp", "controller_id", "type"})


def mark_ticks(snapshot: ExecutorSnapshot, market: PublishedMarket | None) -> int | None:
    """Return where the executor's position could be left now, None if that is unknown."""
    return None if market is None else snapshot.mark_of(market.quote)


def executor_row(snapshot: ExecutorSnapshot, session: PublishedSession) -> ExecutorRow:
    """Return the table's line of one executor at the newest mark."""
    facts = ExecutorFacts(snapshot, session)
    return ExecutorRow(
        id=snapshot.id,
        type=facts.type,
        controller_id=snapshot.controller_id,
        connector_name=facts.connector_name,
        trading_pair=facts.trading_pair,
        side=facts.side,
        lifecycle=facts.lifecycle,
        close_type=facts.close_type,
        amount=facts.amount,
        filled_amount=facts.filled_amount,
        entry_price=facts.entry_price,
        mark_price=facts.mark_price,
        net_pnl_quote=facts.net_pnl_quote,
        net_pnl_pct=facts.net_pnl_pct,
        fees_quote=facts.fees_quote,
        volume_quote=facts.volume_quote,
        created_ns=snapshot.created_ns,
        closed_ns=snapshot.closed_ns,
        age_s=facts.age_s,
        trend=_trend(snapshot, session.markets.get(snapshot.market)),
        retries=snapshot.retries,
        last_error=snapshot.last_error,
        stale_price=snapshot.is_stale,
    )


def executor_detail(snapshot: ExecutorSnapshot, session: PublishedSession) -> ExecutorDetail:
    """Return everything about one executor."""
    row = executor_row(snapshot, session)
    mark = mark_ticks(snapshot, session.markets.get(snapshot.market))

    def quote_of(market: ConnectorPair) -> QuoteTick | None:
        known = session.markets.get(market)
        return None if known is None else known.quote

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
            for barrier in snapshot.barriers_at(mark, quote_of)
        ),
        orders=tuple(order_row(order, snapshot.instrument) for order in orders),
        fills=tuple(fill_row(fill, snapshot.instrument) for fill in fills),
        timeline=tuple(
            TimelineRow(entry.ts_ns, entry.text, entry.level)
            for entry in reversed(snapshot.timeline)
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
    atoms_per_unit = 10**snapshot.instrument.money_precision
    return tuple(
        snapshot.net_pnl_atoms(mid_twice // 2) / atoms_per_unit
        for mid_twice in recent[-TREND_LENGTH:]
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
