"""The names that each type reports; more are allowed."""

from __future__ import annotations

from dataclasses import fields

import pytest

from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.info import ExecutorInfo

load_builtin_executors()

POSITION = """level_id current_position_average_price side current_retries max_retries close_price
open_order_last_update order_ids held_position_orders remaining_amount trailing_stop_trigger_pct
stop_loss_price take_profit_price end_time stale_price residual_amount_base"""
NAMES = {
    "position_executor": POSITION,
    "progressive_executor": POSITION
    + " pnl_trigger target_yield extended_on_yield realized_amount ladder",
    "dca_executor": """side current_position_average_price target_position_average_price
filled_amount filled_amount_quote max_amount_quote min_price max_price max_loss_quote
current_market_price close_price close_type close_timestamp n_levels trailing_stop_trigger_pct
total_executed_amount_backup current_retries max_retries level_id order_ids held_position_orders""",
    "grid_executor": """side levels_by_state filled_orders held_position_orders held_position_value
failed_orders canceled_orders realized_buy_size_quote realized_sell_size_quote
realized_imbalance_quote realized_fees_quote realized_pnl_quote realized_pnl_pct
position_size_quote position_fees_quote position_pnl_quote current_position_average_price
open_liquidity_placed close_liquidity_placed grid_level_prices grid_tp_prices grid_side
grid_limit_price fill_events""",
    "twap_executor": """side current_position_average_price filled_amount_base filled_amount_quote
current_retries max_retries order_ids held_position_orders next_slot_at slots_done""",
    "order_executor": "side current_retries max_retries order_ids held_position_orders level_id",
    "arbitrage_executor": "side current_retries max_retries order_ids held_position_orders",
    "xemm_executor": "side current_retries max_retries order_ids held_position_orders",
}
INFO = """id type controller_id timestamp close_timestamp status close_type is_active is_trading
net_pnl_pct net_pnl_quote cum_fees_quote filled_amount_quote config custom_info is_done side
trading_pair connector_name lifecycle markets last_error error_count"""


@pytest.mark.parametrize("type_name", NAMES)
def test_the_names_of_the_specification_are_there(type_name: str) -> None:
    info_type = ExecutorFactory.registrations()[type_name].custom_info_type
    assert info_type is not None
    assert set(NAMES[type_name].split()) <= {item.name for item in fields(info_type)}


def test_the_common_report_has_its_names() -> None:
    assert [name for name in INFO.split() if name not in dir(ExecutorInfo)] == []
