"""Funding rates and corporate actions from files."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import polars as pl

from engine.markets.data_report import MarketDataError
from engine.markets.plain_file import PlainFile
from engine.markets.stamps import EpochUnit
from engine.model.market_events import CorporateAction, CorporateActionKind, Funding

_FUNDING_NAMES: Final[Mapping[str, tuple[str, ...]]] = {"rate": ("rate", "funding_rate")}
_ACTION_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "kind": ("kind", "type"),
    "ratio_num": ("ratio_num", "numerator"),
    "ratio_den": ("ratio_den", "denominator"),
    "amount": ("amount", "dividend"),
}
_PPB: Final = Decimal("1e-9")


def load_funding(
    path: pathlib.Path, *, timezone: str | None = None, epoch_unit: EpochUnit | None = None
) -> tuple[Funding, ...]:
    """Return the funding rates in the file *path*, fractions of the notional, in time order.

    Raises:
        MarketDataError: the file cannot be read or used.
        ValueError: the time zone is not known.
    """
    file = PlainFile(
        path, aliases=_FUNDING_NAMES, required=("rate",), timezone=timezone, epoch_unit=epoch_unit
    )
    rates = file.whole("rate", _PPB)
    return tuple(map(Funding, file.ts.tolist(), rates.tolist()))


def load_corporate_actions(
    path: pathlib.Path,
    *,
    money_precision: int = 8,
    timezone: str | None = None,
    epoch_unit: EpochUnit | None = None,
) -> tuple[CorporateAction, ...]:
    """Return the splits and dividends in the file *path*, in time order.

    A split is ``ratio_num`` new units for ``ratio_den`` old ones, a dividend an ``amount`` of
    money a unit.

    Raises:
        MarketDataError: the file cannot be read or used.
        ValueError: the time zone is not known.
    """
    file = PlainFile(
        path, aliases=_ACTION_NAMES, required=("kind",), timezone=timezone, epoch_unit=epoch_unit
    )
    kinds = file.series("kind").cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    allowed = [kind.value for kind in CorporateActionKind]
    text = f"is no kind of action: {', '.join(allowed)} are allowed"
    file.refuse_in_order("kind", (~kinds.is_in(allowed)).to_numpy(), text)
    count = len(file)
    is_split = (kinds == CorporateActionKind.SPLIT.value).to_numpy()
    numbers: dict[str, list[int]] = {}
    for name, step in (
        ("ratio_num", Decimal(1)),
        ("ratio_den", Decimal(1)),
        ("amount", Decimal(1).scaleb(-money_precision)),
    ):
        if not file.has(name):
            needs = is_split.any() if name != "amount" else (~is_split).any()
            if needs:
                raise MarketDataError(
                    f"{path}:1: header: lacks the column {name}: "
                    f"add {', '.join(_ACTION_NAMES[name])}"
                )
            numbers[name] = [0] * count
            continue
        column = file.optional_whole(name, step)
        matters = is_split if name != "amount" else ~is_split
        file.refuse_in_order(name, matters & (column <= 0), "is not above 0")
        numbers[name] = column.tolist()
    return tuple(
        CorporateAction(ts, CorporateActionKind.SPLIT, num, den)
        if split
        else CorporateAction(ts, CorporateActionKind.DIVIDEND, amount_atoms=amount)
        for ts, split, num, den, amount in zip(
            file.ts.tolist(),
            is_split.tolist(),
            numbers["ratio_num"],
            numbers["ratio_den"],
            numbers["amount"],
            strict=True,
        )
    )
