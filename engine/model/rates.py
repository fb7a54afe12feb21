"""Rates in configuration: exact parts per billion, units by the key's ending (UNIT-8, COST-5)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from engine.model.instruments import PPB

_SUFFIXES: Final = (("_pct", Decimal(100)), ("_bps", Decimal(10_000)))


def _whole_ppb(rate: Decimal) -> Decimal:
    if not rate.is_finite() or rate * PPB % 1:
        raise ValueError(f"{rate} is finer than 0.000000001")
    return rate


Rate: TypeAlias = Annotated[Decimal, Field(ge=0, lt=1), AfterValidator(_whole_ppb)]
"""A fraction of notional or price (0.001 = 0.1 %), exact in parts per billion (UNIT-8)."""
Share: TypeAlias = Annotated[Decimal, Field(gt=0, le=1), AfterValidator(_whole_ppb)]
"""A fraction above 0, up to the whole."""
SignedRate: TypeAlias = Annotated[Decimal, Field(gt=-1, lt=1), AfterValidator(_whole_ppb)]
"""As `Rate`; negative for a rebate."""
Factor: TypeAlias = Annotated[Decimal, Field(ge=0, lt=1_000_000), AfterValidator(_whole_ppb)]
"""A number without a unit, exact in parts per billion."""
Leverage: TypeAlias = Annotated[Decimal, Field(ge=1, lt=1_000_000), AfterValidator(_whole_ppb)]
"""A factor of at least one."""


def to_ppb(rate: Decimal) -> int:
    """Return *rate* in parts per billion.

    Raises:
        ValueError: it is finer than that.
    """
    return int(_whole_ppb(rate) * PPB)


def read_units(data: object, names: tuple[str, ...]) -> object:
    """Return *data* with ``x_pct`` and ``x_bps`` read into ``x`` for each of *names* (COST-5).

    Anything that is not a mapping is returned as it is.

    Raises:
        ValueError: a rate is given twice, or is no number.
    """
    if not isinstance(data, Mapping):
        return data
    read = dict(data)
    for name in names:
        for suffix, per in _SUFFIXES:
            key = name + suffix
            if key not in read:
                continue
            if name in read:
                raise ValueError(f"{key}: {name} is given already; give one of them")
            value = read.pop(key)
            if value is None:
                read[name] = None
                continue
            try:
                read[name] = Decimal(str(value)) / per
            except ArithmeticError:
                raise ValueError(f"{key}: {value!r} is not a number") from None
    return read
