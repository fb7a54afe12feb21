"""Events of a market beside its prices: funding and corporate actions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding payment of a perpetual: positive ``rate_ppb`` debits longs (PF-9)."""

    ts_ns: int
    rate_ppb: int


@unique
class CorporateActionKind(StrEnum):
    """What a corporate action does."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A split of ``ratio_num`` new for ``ratio_den`` old, or a dividend of ``amount_atoms`` a unit.

    Raises:
        ValueError: a ratio is not positive.
    """

    ts_ns: int
    kind: CorporateActionKind
    ratio_num: int = 1
    ratio_den: int = 1
    amount_atoms: int = 0

    def __post_init__(self) -> None:
        if self.ratio_num < 1 or self.ratio_den < 1:
            raise ValueError(f"split {self.ratio_num}:{self.ratio_den} needs two positive numbers")
