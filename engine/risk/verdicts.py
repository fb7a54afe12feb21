"""What the risk manager answers: data, never exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TypeAlias

from engine.model.orders import OrderRequest


@unique
class DenialCode(StrEnum):
    """Why the risk manager said no."""

    STALE_QUOTE = "STALE_QUOTE"
    NO_QUOTE = "NO_QUOTE"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    RISK_HALTED = "RISK_HALTED"
    PENDING_ORDER = "PENDING_ORDER"
    UNSUPPORTED_ORDER = "UNSUPPORTED_ORDER"
    BRACKET_INVERTED = "BRACKET_INVERTED"
    NO_STOP_FOR_SIZER = "NO_STOP_FOR_SIZER"
    PRICE_DEVIATION = "PRICE_DEVIATION"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    MAX_ORDERS_PER_MINUTE = "MAX_ORDERS_PER_MINUTE"
    MAX_ORDER_NOTIONAL = "MAX_ORDER_NOTIONAL"
    MAX_POSITION_SIZE = "MAX_POSITION_SIZE"
    MAX_PORTFOLIO_RISK = "MAX_PORTFOLIO_RISK"
    MAX_POSITION_PCT = "MAX_POSITION_PCT"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    MAX_NET_EXPOSURE = "MAX_NET_EXPOSURE"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    MAX_CONCENTRATION = "MAX_CONCENTRATION"
    MAX_PORTFOLIO_HEAT = "MAX_PORTFOLIO_HEAT"
    MAX_OPEN_POSITIONS = "MAX_OPEN_POSITIONS"
    MAX_ORDERS_PER_BAR = "MAX_ORDERS_PER_BAR"
    MAX_ORDERS_PER_DAY = "MAX_ORDERS_PER_DAY"
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    TRADING_HOURS = "TRADING_HOURS"
    COOLDOWN = "COOLDOWN"


@dataclass(frozen=True, slots=True)
class Objection:
    """What one limit has against an order: a code, and the value with the limit's key."""

    code: DenialCode
    text: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The order may go; ``note`` says what was cut if it is smaller than what was asked for."""

    request: OrderRequest
    note: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """The order may not go; ``reason`` names the value and the limit's configuration key."""

    code: DenialCode
    reason: str
    client_order_id: str = ""
    """Empty for a signal that never became an order."""


Verdict: TypeAlias = Approved | Denied


@dataclass(frozen=True, slots=True)
class TradingHalted:
    """The risk manager stopped entries."""

    ts_ns: int
    reason: str
