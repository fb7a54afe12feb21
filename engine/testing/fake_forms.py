"""Create and update forms of the fake console engine: read, refuse and preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from engine.api.views import ExecutorRow, ExecutorTypeView, FormCheck, FormField
from engine.testing.fake_rows import ASK, BID, CONNECTOR, FEE, PRICE_STEP

AVAILABLE: Final = Decimal("9120.00")
AMOUNT_STEP: Final = {"BTC-USDT": Decimal("0.0001"), "EUR-USD": Decimal(1)}
_BARRIER: Final = "triple_barrier_config"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")

_PERCENT_HELP: Final = "2% or 0.02; empty for none"

BARRIER_FIELDS: Final = (
    FormField(f"{_BARRIER}.stop_loss", "Stop loss", "percent", required=False,
              help=_PERCENT_HELP, group="Barriers"),
    FormField(f"{_BARRIER}.take_profit", "Take profit", "percent", required=False,
              help=_PERCENT_HELP, group="Barriers"),
    FormField(f"{_BARRIER}.time_limit", "Time limit", "duration", required=False,
              help="4h, 90m or 3600; empty for none", group="Barriers"),
    FormField(f"{_BARRIER}.trailing_stop.activation_price", "Trailing from", "percent",
              required=False, help="profit that arms it; empty for none", group="Barriers"),
    FormField(f"{_BARRIER}.trailing_stop.trailing_delta", "Trailing delta", "percent",
              required=False, help="how far behind it follows", group="Barriers"),
)  # fmt: skip

POSITION_FIELDS: Final = (
    FormField("connector_name", "Connector", "choice", required=True, default=CONNECTOR,
              choices=(CONNECTOR,), group="Market"),
    FormField("trading_pair", "Pair", "choice", required=True, default="BTC-USDT",
              choices=("BTC-USDT", "EUR-USD"), group="Market"),
    FormField("side", "Side", "choice", required=True, default="BUY",
              choices=("BUY", "SELL"), group="Market"),
    FormField("amount", "Amount", "number", required=True, unit="base",
              help="above 0; 0.04 or 1.5k", group="Size"),
    FormField("entry_price", "Entry price", "number", required=False, unit="quote",
              help="empty for the best price now", group="Size"),
    FormField("leverage", "Leverage", "number", required=False, default="1", unit="x",
              help="1 or more", group="Size"),
    *BARRIER_FIELDS,
    FormField(f"{_BARRIER}.open_order_type", "Entry order", "choice", required=False,
              default="LIMIT", choices=("LIMIT", "LIMIT_MAKER", "MARKET"), group="Orders"),
    FormField(f"{_BARRIER}.take_profit_order_type", "Profit order", "choice", required=False,
              default="MARKET", choices=("MARKET", "LIMIT", "LIMIT_MAKER"), group="Orders"),
    FormField("level_id", "Label", "text", required=False,
              help="free text for you", group="Orders"),
)  # fmt: skip

POSITION: Final = ExecutorTypeView(
    "position_executor", "Position", "One entry, guarded by stop, target and time", POSITION_FIELDS
)
TWAP: Final = ExecutorTypeView(
    "twap_executor",
    "TWAP",
    "One amount, worked in equal slices over a time",
    (
        *POSITION_FIELDS[:4],
        FormField("total_duration", "Over", "duration", required=True, help="30m", group="Size"),
    ),
)


def check_create(executor_type: str, values: Mapping[str, str]) -> FormCheck:
    """Return what the fake understands of a create form."""
    fields = TWAP.fields if executor_type == TWAP.type else POSITION_FIELDS
    check = read_form(fields, values)
    return FormCheck(
        check.errors, check.understood, _preview(check.values), nest_names(check.values)
    )


def update_fields(row: ExecutorRow) -> tuple[FormField, ...]:
    """Return the barriers of a position executor with their present values; else nothing."""
    if row.type != "position" or row.lifecycle != "running":
        return ()
    present = ("2%", "3%", "4h", "1.5%", "0.5%")
    return tuple(
        FormField(item.name, item.label, item.kind, item.required, value, item.unit, item.help,
                  item.choices, item.group)
        for item, value in zip(BARRIER_FIELDS, present, strict=True)
    )  # fmt: skip


def check_update(row: ExecutorRow, values: Mapping[str, str]) -> FormCheck:
    """Return what the fake understands of an update form."""
    check = read_form(update_fields(row), values)
    known = {"side": row.side, "trading_pair": row.trading_pair, "amount": str(row.filled_amount)}
    entry = {} if row.entry_price is None else {"entry_price": str(row.entry_price)}
    preview = _preview({**known, **entry, **check.values})[1:4]
    return FormCheck(check.errors, check.understood, preview, nest_names(check.values))


def read_form(fields: tuple[FormField, ...], values: Mapping[str, str]) -> FormCheck:
    """Return errors, understood values and flat exact values of *values*."""
    errors: dict[str, str] = {}
    understood: dict[str, str] = {}
    exact: dict[str, object] = {}
    for item in fields:
        typed = values.get(item.name, item.default).strip()
        if not typed:
            if item.required:
                errors[item.name] = f"{item.label} is missing: {item.help or 'choose one'}."
            continue
        try:
            exact[item.name] = _read(item, typed)
        except (ValueError, InvalidOperation):
            errors[item.name] = _complaint(item, typed)
            continue
        shown = str(exact[item.name]) + (" s" if item.kind == "duration" else "")
        if shown != typed:
            understood[item.name] = shown
    _check_trailing(exact, errors)
    return FormCheck(errors, understood, (), exact)


def nest_names(flat: Mapping[str, object]) -> dict[str, object]:
    """Return *flat* with dotted names turned into nested mappings."""
    nested: dict[str, object] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        target = nested
        for part in path:
            inner = target.setdefault(part, {})
            assert isinstance(inner, dict)  # noqa: S101 (no form has a value and a group of one name)
            target = inner
        target[leaf] = value
    return nested


def _read(item: FormField, typed: str) -> object:
    """Return *typed* as the exact value to send: text of a Decimal, whole seconds or a word."""
    match item.kind:
        case "number" | "percent":
            number = _number(typed)
            if number <= 0:
                raise ValueError(typed)
            return format(number.normalize(), "f")
        case "duration":
            return _duration(typed)
        case "choice":
            chosen = typed.upper() if typed.upper() in item.choices else typed
            if chosen not in item.choices:
                raise ValueError(typed)
            return chosen
        case "text":
            return typed


def _number(typed: str) -> Decimal:
    text = typed.replace(",", "").replace("_", "").lower()
    scale = {"%": Decimal("0.01"), "k": Decimal(1_000), "m": Decimal(1_000_000)}.get(text[-1:])
    number = Decimal(text[:-1]) * scale if scale else Decimal(text)
    if not number.is_finite():
        raise ValueError(typed)
    return number


def _duration(typed: str) -> int:
    text = typed.replace(" ", "").lower()
    if _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        total = sum((Decimal(digits) * _SECONDS[unit] for digits, unit in parts), Decimal(0))
    else:
        total = Decimal(text)
    if not total.is_finite() or total <= 0 or total != int(total):
        raise ValueError(typed)
    return int(total)


def _complaint(item: FormField, typed: str) -> str:
    match item.kind:
        case "number":
            return f"{typed!r} is not a number above 0. Try 0.04 or 1.5k."
        case "percent":
            return f"{typed!r} is not a percentage above 0. Try 2% or 0.02."
        case "duration":
            return f"{typed!r} is not a duration. Try 4h or 90m."
        case _:
            return f"{typed!r} is not one of {', '.join(item.choices)}."


def _check_trailing(exact: Mapping[str, object], errors: dict[str, str]) -> None:
    names = [f"{_BARRIER}.trailing_stop.{name}" for name in ("activation_price", "trailing_delta")]
    for name, other in (names, reversed(names)):
        if name in exact and other not in exact and other not in errors:
            errors[other] = "A trailing stop needs both: the profit that arms it and its delta."


def _preview(exact: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return what would happen, from what is readable so far."""
    pair, side = str(exact.get("trading_pair", "")), str(exact.get("side", ""))
    if pair not in BID or side not in {"BUY", "SELL"}:
        return ()
    base, quote = pair.split("-")
    step = PRICE_STEP[pair]
    price = Decimal(str(exact.get("entry_price", (BID if side == "BUY" else ASK)[pair])))
    amount = Decimal(str(exact.get("amount", 0)))
    notional = amount * price
    sign = 1 if side == "BUY" else -1
    rows = [("Order", f"{side} {amount} {base} at {price.quantize(step):,}")]
    for name, label, direction in (("stop_loss", "Stop at", -1), ("take_profit", "Take at", 1)):
        fraction = exact.get(f"{_BARRIER}.{name}")
        if fraction is not None:
            move = Decimal(str(fraction)) * direction
            at = (price * (1 + sign * move)).quantize(step)
            rows.append((label, f"{at:,}  {notional * move:+,.2f} {quote}"))
    limit = exact.get(f"{_BARRIER}.time_limit")
    if limit is not None:
        rows.append(("Ends after", f"{limit} s"))
    collateral = notional / Decimal(str(exact.get("leverage", 1)))
    rows += [
        ("Notional", f"{notional:,.2f} {quote}"),
        ("Fees", f"{2 * notional * FEE:,.2f} {quote} in and out"),
        ("Balance", f"{collateral:,.2f} of {AVAILABLE:,.2f} {quote} free"),
    ]
    return tuple(rows)
