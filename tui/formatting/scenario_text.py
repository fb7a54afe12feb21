"""The report of a scenario as lines of text, for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tui.formatting.text import fit, short_id


def scenario_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Return orders, transitions and results of *report*, the JSON values of the engine."""
    yield "orders"
    for order in report["orders"]:
        price = order["price"] or "market"
        yield (
            f"  {order['at'][11:23]}  {fit(order['client_order_id'], 8)} "
            f"{fit(order['role'], 12)} {fit(order['side'], 4)} {order['amount']} @ {price}  "
            f"{order['state'].lower()} {order['filled']} {order['reason']}".rstrip()
        )
    yield "timeline"
    for entry in report["timeline"]:
        yield f"  {entry['at'][11:23]}  {fit(short_id(entry['executor_id']), 8)} {entry['text']}"
    yield "executors"
    for info in report["executors"]:
        yield (
            f"  {fit(short_id(info['id']), 8)} {info['type']}  {info['status'].lower()}  "
            f"{(info['close_type'] or 'open').lower()}  net {info['net_pnl_quote']} "
            f"({info['net_pnl_pct']})  fees {info['cum_fees_quote']}"
        )
    yield "performance"
    for controller_id, figures in report["performance"].items():
        yield (
            f"  {controller_id}  realized {figures['realized_pnl_quote']}  "
            f"unrealized {figures['unrealized_pnl_quote']}  volume {figures['volume_traded']}"
        )
