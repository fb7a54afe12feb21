"""Limits on the size of one order: clamped or refused (RISK-3)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TypeAlias

from engine.model.instruments import Instrument
from engine.risk.exposure import Exposure
from engine.risk.limits import LimitMode, RiskSettings, SizeLimit
from engine.risk.verdicts import DenialCode, Objection


@dataclass(frozen=True, slots=True)
class SizeGrant:
    """The lots that may be ordered; ``note`` says what was cut, empty if nothing was."""

    lots: int
    note: str = ""


SizeAnswer: TypeAlias = SizeGrant | Objection


def number(value: Decimal) -> str:
    """Return *value* for people: plain, with thousands marked, no needless zeros."""
    return f"{value.normalize():,f}"


def limit_size(
    lots: int,
    *,
    settings: RiskSettings,
    instrument: Instrument,
    exposure: Exposure,
    price_ticks: int | None,
) -> SizeAnswer:
    """Return what the size limits leave of an order of *lots*.

    Args:
        lots: what is asked for.
        settings: the limits.
        instrument: what is traded.
        exposure: position and working orders, seen from the order's side.
        price_ticks: what the order is valued at; None if no price is known.
    """
    answer: SizeAnswer = SizeGrant(lots)
    if settings.max_position_size is not None:
        answer = _by_position(lots, settings.max_position_size, instrument, exposure)
    if settings.max_order_notional is None or isinstance(answer, Objection):
        return answer
    if price_ticks is None:
        return Objection(
            DenialCode.NO_QUOTE,
            f"{instrument.market} has no quote that could value the order "
            "(risk.max_order_notional)",
        )
    return _by_notional(
        answer, settings.max_order_notional, instrument, exposure.reducible_lots, price_ticks
    )


def _by_position(
    lots: int, limit: SizeLimit, instrument: Instrument, exposure: Exposure
) -> SizeAnswer:
    held = exposure.held_lots + exposure.working_lots
    allowed = max(instrument.floor_lots(limit.value) - held, exposure.reducible_lots, 0)
    if lots <= allowed:
        return SizeGrant(lots)
    text = (
        f"position {number(instrument.qty(held + lots))} with working orders is above "
        f"{number(limit.value)} (risk.max_position_size)"
    )
    return _cut(lots, allowed, limit, instrument, DenialCode.MAX_POSITION_SIZE, text)


def _by_notional(
    grant: SizeGrant, limit: SizeLimit, instrument: Instrument, reducible: int, ticks: int
) -> SizeAnswer:
    limit_atoms = int(limit.value.scaleb(instrument.money_precision).to_integral_value(ROUND_DOWN))
    opening = grant.lots - min(grant.lots, reducible)
    notional = instrument.notional_atoms(ticks, opening)
    if notional <= limit_atoms:
        return grant
    allowed = grant.lots - opening + limit_atoms // instrument.notional_atoms(ticks, 1)
    text = (
        f"notional {number(instrument.money(notional))} is above {number(limit.value)} "
        "(risk.max_order_notional)"
    )
    return cut_size(grant, allowed, limit, instrument, DenialCode.MAX_ORDER_NOTIONAL, text)


def cut_size(
    grant: SizeGrant,
    allowed: int,
    limit: SizeLimit,
    instrument: Instrument,
    code: DenialCode,
    text: str,
) -> SizeAnswer:
    """Return *grant* cut to *allowed* lots, or an objection if *limit* rejects or leaves nothing.

    Args:
        grant: what the limits before have left.
        allowed: what this limit leaves, in lots.
        limit: the bound with its mode.
        instrument: what is traded.
        code: of the objection.
        text: what is above which bound.
    """
    answer = _cut(grant.lots, allowed, limit, instrument, code, text)
    if isinstance(answer, SizeGrant) and grant.note:
        return SizeGrant(answer.lots, f"{grant.note}; {answer.note}")
    return answer


def _cut(
    lots: int,
    allowed: int,
    limit: SizeLimit,
    instrument: Instrument,
    code: DenialCode,
    text: str,
) -> SizeAnswer:
    if limit.mode is LimitMode.REJECT:
        return Objection(code, text)
    if allowed < instrument.min_lots:
        least = number(instrument.qty(instrument.min_lots))
        return Objection(code, f"{text}, and what is left is below the smallest order {least}")
    was, now = number(instrument.qty(lots)), number(instrument.qty(allowed))
    return SizeGrant(allowed, f"amount {was} cut to {now}: {text}")
