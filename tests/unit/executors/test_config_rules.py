"""Every validation rule of the eight configurations, with what a person reads."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.validation import describe_errors

load_builtin_executors()

COMMON = {"connector_name": "paper", "trading_pair": "BTC-USDT"}
TWO_VENUES = {"buying_market": "a:BTC-USDT", "selling_market": "b:BTC-USDT", "order_amount": "1"}
VALID: dict[str, dict[str, Any]] = {
    "position_executor": COMMON | {"side": "BUY", "amount": "1"},
    "progressive_executor": COMMON | {"side": "BUY", "amount": "1", "triple_barrier_config": {}},
    "dca_executor": COMMON | {"side": "BUY", "amounts_quote": ["10", "20"], "prices": ["9", "8"]},
    "grid_executor": COMMON
    | {
        "start_price": "100",
        "end_price": "110",
        "limit_price": "90",
        "total_amount_quote": "500",
        "triple_barrier_config": {"take_profit": "0.01"},
    },
    "twap_executor": COMMON
    | {
        "side": "BUY",
        "total_amount_quote": "1300",
        "total_duration": 3600,
        "order_interval": 300,
    },
    "order_executor": COMMON | {"side": "BUY", "amount": "1", "execution_strategy": "MARKET"},
    "arbitrage_executor": TWO_VENUES | {"min_profitability": "0.01"},
    "xemm_executor": TWO_VENUES
    | {
        "maker_side": "BUY",
        "min_profitability": "0.01",
        "target_profitability": "0.02",
        "max_profitability": "0.03",
    },
}
Rule = tuple[str, Any, str]
"""Dotted field, a value that it must refuse, the sentence about it."""

ORDER_TYPES = "must be one of MARKET, LIMIT, LIMIT_MAKER"
BASE: list[Rule] = [
    ("timestamp", -1, "timestamp: must not be negative, got -1.0"),
    ("surprise", 1, "surprise: is not a known field (value 1); remove it or check its spelling"),
]
MARKET: list[Rule] = [
    ("connector_name", None, "connector_name: must be text, got None"),
    ("connector_name", "", "connector_name: must not be empty, got ''"),
    ("connector_name", "  ", "connector_name: must not be empty, got '  '"),
    ("trading_pair", 7, "trading_pair: must be text, got 7"),
    *(
        (
            "trading_pair",
            pair,
            f"trading_pair: must be BASE-QUOTE, for example BTC-USDT, got {pair!r}",
        )
        for pair in ("", "BTCUSDT", "-USDT", "BTC-", "BTC-USDT-X", " BTC-USDT")
    ),
]
SIDE: list[Rule] = [
    ("side", "HOLD", "side: must be one of BUY, SELL, got 'HOLD'"),
    ("side", 1, "side: must be one of BUY, SELL, got 1"),
    ("side", "RANGE", "side: must be one of BUY, SELL, got RANGE"),
    ("side", "range", "side: must be one of BUY, SELL, got RANGE"),
]
LEVERAGE: list[Rule] = [
    ("leverage", 0, "leverage: must be at least 1, got 0"),
    ("leverage", -5, "leverage: must be at least 1, got -5"),
    ("leverage", "1.5", "leverage: must be a whole number, got '1.5'"),
]


def above_zero(*fields: str) -> list[Rule]:
    """Return the rules of numbers above zero."""
    return [
        (field, value, f"{field}: {problem}, got {shown}")
        for field in fields
        for value, problem, shown in (
            ("0", "must be greater than 0", "0"),
            ("-0.01", "must be greater than 0", "-0.01"),
            ("NaN", "must be a finite number", "NaN"),
            ("Infinity", "must be a finite number", "Infinity"),
            ("lots", "must be a number", "'lots'"),
            (True, "must be a number", "True"),
        )
    ]


def whole_seconds(*fields: str) -> list[Rule]:
    """Return the rules of whole seconds above zero."""
    return [
        (field, value, f"{field}: {problem}")
        for field in fields
        for value, problem in (
            (-1, "must be at least 1, got -1"),
            (0, "must be at least 1, got 0"),
            ("soon", "must be a whole number, got 'soon'"),
        )
    ]


def required(*fields: str) -> list[Rule]:
    """Return the rules of fields that have no default; ``...`` stands for leaving one out."""
    return [(field, ..., f"{field}: is required") for field in fields]


def bounds(field: str = "activation_bounds") -> list[Rule]:
    """Return the rules of lists of fractions above zero."""
    return [
        (field, ["0"], f"{field}.0: must be greater than 0, got 0"),
        (field, ["x"], f"{field}.0: must be a number, got 'x'"),
    ]


def barriers() -> list[Rule]:
    """Return the rules of the triple barrier (3.2), without its trailing stop."""
    where = "triple_barrier_config"
    return [
        *above_zero(f"{where}.stop_loss", f"{where}.take_profit"),
        (f"{where}.time_limit", -1, f"{where}.time_limit: must be at least 1, got -1"),
        (f"{where}.open_order_type", "STOP", f"{where}.open_order_type: {ORDER_TYPES}, got 'STOP'"),
        (
            f"{where}.take_profit_order_type",
            "x",
            f"{where}.take_profit_order_type: {ORDER_TYPES}, got 'x'",
        ),
        *(
            (f"{where}.{name}", kind, f"{where}.{name}: must be MARKET, got {kind}")
            for name in ("stop_loss_order_type", "time_limit_order_type")
            for kind in ("LIMIT", "LIMIT_MAKER")
        ),
    ]


def trailing(where: str) -> list[Rule]:
    """Return the rules of the simple trailing stop (3.2)."""
    return [
        (where, {"activation_price": "0.1"}, f"{where}.trailing_delta: is required"),
        *(
            (where, value, f"{where}.{field}: must be greater than 0, got {shown}")
            for value, field, shown in (
                ({"activation_price": "0", "trailing_delta": "1"}, "activation_price", "0"),
                ({"activation_price": "1", "trailing_delta": "-1"}, "trailing_delta", "-1"),
                ("0,0.1", "activation_price", "0"),
            )
        ),
        (
            where,
            "0.1",
            f"{where}: must be activation,delta (for example 0.02,0.005), got '0.1'",
        ),
    ]


def ladder() -> list[Rule]:
    """Return the rules of the laddered trailing stop (3.3)."""
    where = "triple_barrier_config.trailing_stop"
    table = f"{where}.take_profit_table"
    return [
        (where, "0,0.1", f"{where}.activation_pnl_pct: must be greater than 0, got 0"),
        (where, "0.1,0", f"{where}.trailing_pct: must be greater than 0, got 0"),
        (where, "0.1", f"{where}: must be activation,trailing,level:ratio|..."),
        (where, "0.1,0.1,0.5", f"{table}: must be level:ratio|level:ratio"),
        (where, "1,1,0:1", f"{table}.0.0: must be greater than 0, got 0"),
        (where, "1,1,0.1:0", f"{table}.0.1: must be greater than 0, got 0"),
        (where, "1,1,0.1:2", f"{table}: close ratio must be above 0 and at most 1, got 2"),
        (
            where,
            "1,1,0.2:1|0.1:1",
            f"{table}: levels must be strictly increasing, got 0.1 after 0.2",
        ),
    ]


POSITION: list[Rule] = [
    *MARKET,
    *SIDE,
    *LEVERAGE,
    *required("connector_name", "trading_pair", "side", "amount"),
    *above_zero("amount", "entry_price"),
    *bounds(),
    *barriers(),
]
RULES: dict[str, list[Rule]] = {
    "position_executor": [
        *POSITION,
        *trailing("triple_barrier_config.trailing_stop"),
        (
            "activation_bounds",
            ["0.1", "0.2"],
            "activation_bounds must have 1 value for LIMIT entries, got 0.1, 0.2",
        ),
        (
            "*",
            {
                "activation_bounds": ["0.1"],
                "triple_barrier_config": {"open_order_type": "MARKET"},
            },
            "activation_bounds must have 2 values for MARKET entries, got 0.1",
        ),
    ],
    "progressive_executor": [
        *POSITION,
        *required("triple_barrier_config"),
        *ladder(),
        *above_zero("triple_barrier_config.apr_yield", "max_trailing_pct"),
        (
            "triple_barrier_config.trailing_stop_order_type",
            "LIMIT_MAKER",
            "trailing_stop_order_type: must be one of LIMIT, MARKET, got LIMIT_MAKER",
        ),
        ("pnl_relaxation", "1", "pnl_relaxation: must be at least 0 and below 1, got 1"),
        ("pnl_relaxation", "-0.1", "pnl_relaxation: must be at least 0 and below 1, got -0.1"),
    ],
    "dca_executor": [
        *MARKET,
        *SIDE,
        *LEVERAGE,
        *required("connector_name", "trading_pair", "side", "amounts_quote", "prices"),
        *bounds(),
        *bounds("prices"),
        *bounds("amounts_quote"),
        *above_zero("take_profit", "stop_loss"),
        *whole_seconds("time_limit"),
        *trailing("trailing_stop"),
        ("mode", "BOTH", "mode: must be one of MAKER, TAKER, got 'BOTH'"),
        (
            "prices",
            ["9"],
            "prices must have as many values as amounts_quote, got 1 and 2",
        ),
        ("amounts_quote", [], "amounts_quote must have at least 1 value, got none"),
        (
            "activation_bounds",
            ["0.1", "0.2"],
            "activation_bounds must have 1 value in MAKER mode, got 0.1, 0.2",
        ),
        (
            "*",
            {"mode": "TAKER", "activation_bounds": ["0.1"]},
            "activation_bounds must have 2 values in TAKER mode, got 0.1",
        ),
    ],
    "grid_executor": [
        *MARKET,
        *SIDE,
        *LEVERAGE,
        *required("connector_name", "trading_pair", "start_price", "end_price", "limit_price"),
        *required("total_amount_quote", "triple_barrier_config"),
        *above_zero("start_price", "end_price", "total_amount_quote"),
        *above_zero("min_spread_between_orders", "min_order_amount_quote", "activation_bounds"),
        *barriers(),
        *trailing("triple_barrier_config.trailing_stop"),
        ("limit_price", "-1", "limit_price: must not be negative, got -1"),
        ("safe_extra_spread", "-1", "safe_extra_spread: must not be negative, got -1"),
        ("order_frequency", -1, "order_frequency: must not be negative, got -1"),
        ("max_open_orders", 0, "max_open_orders: must be at least 1, got 0"),
        ("max_orders_per_batch", 0, "max_orders_per_batch: must be at least 1, got 0"),
        ("start_price", "110", "start_price must be below end_price, got 110 and 110"),
        ("start_price", "120", "start_price must be below end_price, got 120 and 110"),
        (
            "limit_price",
            "100",
            "limit_price of a BUY grid must be below start_price 100, got 100",
        ),
        (
            "*",
            {"side": "SELL", "limit_price": "110"},
            "limit_price of a SELL grid must be above end_price 110, got 110",
        ),
        (
            "triple_barrier_config",
            {},
            "triple_barrier_config.take_profit is required for a grid, got None",
        ),
        ("triple_barrier_config", 5, "triple_barrier_config: must be a mapping of fields, got 5"),
        ("keep_position", "perhaps", "keep_position: must be true or false, got 'perhaps'"),
    ],
    "twap_executor": [
        *MARKET,
        *SIDE,
        *LEVERAGE,
        *required("connector_name", "trading_pair", "side"),
        *required("total_amount_quote", "total_duration", "order_interval"),
        *above_zero("total_amount_quote"),
        *whole_seconds("total_duration", "order_interval", "order_resubmission_time"),
        ("mode", "", "mode: must be one of MAKER, TAKER, got ''"),
        ("mode", "MAKER", "limit_order_buffer is required in MAKER mode, got None"),
        ("limit_order_buffer", "-0.1", "limit_order_buffer: must not be negative, got -0.1"),
        ("limit_order_buffer", "NaN", "limit_order_buffer: must be a finite number, got NaN"),
    ],
    "order_executor": [
        *MARKET,
        *SIDE,
        *LEVERAGE,
        *required("connector_name", "trading_pair", "side", "amount", "execution_strategy"),
        *above_zero("amount", "price"),
        (
            "execution_strategy",
            "ICEBERG",
            (
                "execution_strategy: must be one of LIMIT, LIMIT_MAKER, MARKET, LIMIT_CHASER, "
                "got 'ICEBERG'"
            ),
        ),
        (
            "position_action",
            "FLIP",
            "position_action: must be one of OPEN, CLOSE, NIL, got 'FLIP'",
        ),
        ("execution_strategy", "limit", "price is required for LIMIT, got None"),
        ("execution_strategy", "LIMIT_MAKER", "price is required for LIMIT_MAKER, got None"),
        (
            "execution_strategy",
            "LIMIT_CHASER",
            "chaser_config is required for LIMIT_CHASER, got None",
        ),
        ("chaser_config", {"distance": "1"}, "chaser_config.refresh_threshold: is required"),
        *(
            ("chaser_config", value, f"chaser_config.{field}: must be greater than 0, got 0")
            for value, field in (
                ({"distance": "0", "refresh_threshold": "1"}, "distance"),
                ({"distance": "1", "refresh_threshold": "0"}, "refresh_threshold"),
            )
        ),
    ],
}
TWO_VENUE_RULES: list[Rule] = [
    *required("buying_market", "selling_market", "order_amount", "min_profitability"),
    *above_zero("order_amount"),
    *(
        (field, value, f"{field}: {problem}")
        for field in ("buying_market", "selling_market")
        for value, problem in (
            (5, "must be venue:BASE-QUOTE, for example paper:BTC-USDT, got 5"),
            (":BTC-USDT", "connector_name must not be empty, got ':BTC-USDT'"),
            ("a:BTC", "trading_pair must be BASE-QUOTE, for example BTC-USDT, got 'BTC'"),
        )
    ),
    (
        "selling_market",
        "a:BTC-USDT",
        "buying_market and selling_market must differ, got a:BTC-USDT for both",
    ),
    (
        "selling_market",
        "b:ETH-USDT",
        "buying_market and selling_market must trade interchangeable assets, got BTC and ETH",
    ),
    ("min_profitability", "much", "min_profitability: must be a number, got 'much'"),
    ("min_profitability", "NaN", "min_profitability: must be a finite number, got NaN"),
]
RULES["arbitrage_executor"] = [*TWO_VENUE_RULES, *above_zero("gas_conversion_price")]
RULES["xemm_executor"] = [
    *TWO_VENUE_RULES,
    *required("maker_side", "target_profitability", "max_profitability"),
    ("maker_side", "RANGE", "maker_side: must be one of BUY, SELL, got RANGE"),
    ("maker_side", "BOTH", "maker_side: must be one of BUY, SELL, got 'BOTH'"),
    (
        "max_profitability",
        "0.01",
        "min_profitability must be below max_profitability, got 0.01 and 0.01",
    ),
    (
        "target_profitability",
        "0.04",
        (
            "target_profitability must be from min_profitability 0.01 to max_profitability 0.03, "
            "got 0.04"
        ),
    ),
    (
        "target_profitability",
        "0.001",
        (
            "target_profitability must be from min_profitability 0.01 to max_profitability 0.03, "
            "got 0.001"
        ),
    ),
]
TABLE = [(name, *rule) for name, rules in RULES.items() for rule in (*BASE, *rules)]
FREE = {"id", "type", "controller_id", "level_id", "deduct_base_fees", "keep_position"}
FREE |= {"coerce_tp_to_step", "allow_min_level"}
"""Fields that take any text, or are switches."""


def model_of(type_name: str) -> type[ExecutorConfigBase]:
    found = ExecutorFactory.get_config_type(type_name)
    assert issubclass(found, ExecutorConfigBase)
    return found


def changed(fields: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """Return *fields* with another value at a dotted place; ``...`` leaves it out."""
    if where == "*":
        more: dict[str, Any] = value
        return fields | more
    head, _, rest = where.partition(".")
    if rest:
        return fields | {head: changed(fields.get(head, {}), rest, value)}
    if value is ...:
        return {name: kept for name, kept in fields.items() if name != head}
    return fields | {head: value}


def sentences(model: type[BaseModel], fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return "\n".join(map(str, describe_errors(caught.value)))


@pytest.mark.parametrize("type_name", VALID)
def test_the_plain_configuration_is_accepted_and_survives_json(type_name: str) -> None:
    model = model_of(type_name)
    config = model.model_validate(VALID[type_name])
    assert model.model_validate_json(config.model_dump_json()) == config
    assert config.type == type_name


@pytest.mark.parametrize(
    ("type_name", "field", "value", "sentence"),
    TABLE,
    ids=[f"{name}-{field}-{value}" for name, field, value, _ in TABLE],
)
def test_a_rule_names_field_value_and_what_is_allowed(
    type_name: str, field: str, value: Any, sentence: str
) -> None:
    told = sentences(model_of(type_name), changed(VALID[type_name], field, value))
    assert sentence in told


@pytest.mark.parametrize("type_name", VALID)
def test_every_field_has_a_rule_in_the_table(type_name: str) -> None:
    told = {field.partition(".")[0] for field, _, _ in (*BASE, *RULES[type_name])}
    assert set(model_of(type_name).model_fields) - told <= FREE
    assert set(VALID) == set(RULES)


@pytest.mark.parametrize(
    ("type_name", "field", "values"),
    [
        ("position_executor", "side", ["buy", "Buy", "BUY"]),
        ("position_executor", "triple_barrier_config.time_limit", [None, 0, "0", "", 60]),
        ("position_executor", "triple_barrier_config.stop_loss", [None, "", 0.02, "0.02"]),
        ("position_executor", "triple_barrier_config.trailing_stop", [None, "", "0.02,0.005"]),
        ("position_executor", "triple_barrier_config.open_order_type", ["limit_maker", "Limit"]),
        ("progressive_executor", "triple_barrier_config.apr_yield", [None, "", "0.5"]),
        ("progressive_executor", "triple_barrier_config.trailing_stop", [None, "", "0.1,0.1"]),
        ("progressive_executor", "triple_barrier_config.trailing_stop_order_type", ["market"]),
        ("progressive_executor", "pnl_relaxation", ["0", "0.99"]),
        ("dca_executor", "mode", ["maker", "Taker"]),
        ("dca_executor", "time_limit", [None, "", 1]),
        ("grid_executor", "limit_price", ["0", "99.9"]),
        ("grid_executor", "max_orders_per_batch", [None, "", 1]),
        ("grid_executor", "order_frequency", [0, 5]),
        ("grid_executor", "safe_extra_spread", ["0"]),
        ("twap_executor", "order_resubmission_time", [None, "", 1]),
        ("twap_executor", "limit_order_buffer", [None, "", "0"]),
        ("order_executor", "position_action", ["open", "close", "nil"]),
        ("order_executor", "chaser_config", [None, ""]),
        ("arbitrage_executor", "min_profitability", ["-1", "0"]),
        ("arbitrage_executor", "gas_conversion_price", [None, "", "5"]),
        ("arbitrage_executor", "selling_market", ["b:WBTC-EUR"]),
        ("xemm_executor", "target_profitability", ["0.01", "0.03"]),
        ("xemm_executor", "maker_side", ["sell"]),
    ],
)
def test_the_edges_that_are_allowed(type_name: str, field: str, values: list[Any]) -> None:
    for value in values:
        model_of(type_name).model_validate(changed(VALID[type_name], field, value))


def test_all_problems_of_a_configuration_are_told_at_once() -> None:
    told = sentences(model_of("position_executor"), {"side": "x", "amount": "0", "leverage": 0})
    assert told.splitlines() == [
        "connector_name: is required",
        "trading_pair: is required",
        "side: must be one of BUY, SELL, got 'x'",
        "amount: must be greater than 0, got 0",
        "leverage: must be at least 1, got 0",
    ]
