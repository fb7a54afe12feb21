"""What a run assumes about costs, in one line; and whether it assumes none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from engine.execution.cost_settings import Clamp, CommissionSettings, SlippageSettings

FREE_WARNING: Final = "no slippage and no commission: results are better than trading would be"

_PRICED: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "fixed": ("ticks", "amount"),
    "percent": ("rate", "min"),
    "bps": ("bps",),
    "volume_share": ("k",),
    "volatility": ("k",),
    "sqrt_impact": ("y",),
    "variable": ("base",),
    "per_share": ("rate", "min"),
    "per_trade": ("flat",),
    "maker_taker": ("maker", "taker"),
}
"""The numbers that make a model cost something, by kind; other kinds are never free."""


def cost_banner(
    slippage: SlippageSettings,
    commission: CommissionSettings,
    *,
    venues: Mapping[str, tuple[Decimal, Decimal]] | None = None,
) -> str:
    """Return one line about the costs that a run assumes.

    Args:
        slippage: model of taker prices.
        commission: model of fees.
        venues: (maker, taker) fees by venue, which a `maker_taker` without rates of its own takes.
    """
    return f"costs: slippage {_text(slippage)}, commission {_text(commission, venues)}"


def is_free(
    slippage: SlippageSettings,
    commission: CommissionSettings,
    *,
    venues: Mapping[str, tuple[Decimal, Decimal]] | None = None,
) -> bool:
    """Return whether trading costs nothing: zero slippage and zero commission together."""
    if _takes_venues(commission) and any(any(fees) for fees in (venues or {}).values()):
        return False
    return _costs_nothing(slippage) and _costs_nothing(commission, knows_venues=venues is not None)


def _costs_nothing(model: Any, *, knows_venues: bool = False) -> bool:  # noqa: ANN401 (any cost model's settings)
    if model.kind == "composite":
        return all(_costs_nothing(one) for one in model.models)
    if model.kind == "spread":
        # Without numbers of its own it takes the bar's spread.
        return (model.ticks == 0 or model.spread == 0) and not (model.ticks or model.spread)
    if _takes_venues(model) and not knows_venues:
        return False
    names = _PRICED.get(model.kind)
    return names is not None and not any(getattr(model, one, None) for one in names)


def _takes_venues(model: Any) -> bool:  # noqa: ANN401 (any cost model's settings)
    return model.kind == "maker_taker" and model.maker is None and model.taker is None


def _text(model: Any, venues: Mapping[str, tuple[Decimal, Decimal]] | None = None) -> str:  # noqa: ANN401 (any cost model's settings)
    if _takes_venues(model) and venues:
        parts = [f"{name} {maker:f}/{taker:f}" for name, (maker, taker) in venues.items()]
        return f"maker_taker ({', '.join(parts)})"
    inner = _inner(model.model_dump())
    return f"{model.kind} ({inner})" if inner else str(model.kind)


def _inner(values: Mapping[str, Any]) -> str:
    shown = {
        key: value
        for key, value in values.items()
        if value and not (key == "kind" or (key == "clamp" and value == Clamp.NONE))
    }
    return ", ".join(f"{key} {_plain(value)}" for key, value in shown.items())


def _plain(value: Any) -> str:  # noqa: ANN401 (a value of a cost model)
    if isinstance(value, Mapping):
        return f"{value.get('kind', '')} {_inner(value)}".strip()
    if isinstance(value, tuple | list):
        return " ".join(f"[{_plain(one)}]" for one in value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(getattr(value, "value", value))
