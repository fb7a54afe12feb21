"""Orders and reports as JSON values, exact both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import (
    Fill,
    OrderRequest,
    OrderTrigger,
    OrderType,
    PositionAction,
    TimeInForce,
    TradeType,
    TriggerKind,
)

_ENUMS: Final[dict[str, type[Enum]]] = {
    "side": TradeType,
    "order_type": OrderType,
    "position_action": PositionAction,
    "time_in_force": TimeInForce,
}
_PLAIN_REPORTS: Final = {
    one.__name__: one
    for one in (OrderAccepted, OrderRejected, OrderCancelled, OrderExpired, CancelRejected)
}


def request_to_json(request: OrderRequest) -> dict[str, Any]:
    """Return *request* as JSON values."""
    values = _plain(request)
    trigger = request.trigger
    if trigger is not None:
        values["trigger"] = {**_plain(trigger), "kind": trigger.kind.name}
    return values


def request_from_json(values: Mapping[str, Any]) -> OrderRequest:
    """Return the request that `request_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it was written by something else.
    """
    plain = _read(values)
    trigger = plain.get("trigger")
    if trigger is not None:
        plain["trigger"] = OrderTrigger(**{**trigger, "kind": TriggerKind[trigger["kind"]]})
    return OrderRequest(**plain)


def report_to_json(report: OrderReport) -> dict[str, Any]:
    """Return *report* as JSON values."""
    if isinstance(report, OrderFilled):
        fill = report.fill
        values = _plain(fill)
        if fill.fee_in is not None:
            values["fee_in"] = [fill.fee_in[0], str(fill.fee_in[1])]
        return {"report": "OrderFilled", **values}
    return {"report": type(report).__name__, **_plain(report)}


def report_from_json(values: Mapping[str, Any]) -> OrderReport:
    """Return the report that `report_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: it was written by something else.
    """
    plain = dict(values)
    name = plain.pop("report")
    if name == "OrderFilled":
        fee_in = plain.pop("fee_in", None)
        fill = Fill(
            **_read(plain), fee_in=None if fee_in is None else (fee_in[0], Decimal(fee_in[1]))
        )
        return OrderFilled(fill)
    if "code" in plain:
        plain["code"] = ReasonCode(plain["code"])
    report: OrderReport = _PLAIN_REPORTS[name](**plain)
    return report


def _plain(item: Any) -> dict[str, Any]:  # noqa: ANN401 (one of the dataclasses above)
    values: dict[str, Any] = {}
    for field in fields(item):
        value = getattr(item, field.name)
        if isinstance(value, ConnectorPair):
            value = [value.connector_name, value.trading_pair]
        elif isinstance(value, TradeType | OrderType | PositionAction | TimeInForce):
            value = value.name
        elif isinstance(value, ReasonCode):
            value = value.value
        values[field.name] = value
    return values


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        key: _ENUMS[key][value] if key in _ENUMS else value for key, value in values.items()
    }
    connector, pair = plain["market"]
    plain["market"] = ConnectorPair(connector, pair)
    return plain
