"""Decimal text of data files, exact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

MAX_DECIMALS: Final = 9
"""Decimals of an inferred tick (UNIT-3)."""

_NUMBER: Final = re.compile(
    r"[-+]?(?:\d{1,18}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][-+]?\d{1,2})?", re.ASCII
)
_PLAIN: Final = r"\d{1,15}(?:\.\d{1,24})?"
_PLAIN_NUMBERS: Final = {
    count: re.compile(",".join([_PLAIN] * count), re.ASCII) for count in range(1, 6)
}
_LARGEST: Final = Decimal(10) ** 15
_ABSENT: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "#n/a"})
_INFINITE: Final = frozenset({"inf", "infinity"})
_NOT_A_NUMBER: Final = Decimal("nan")
_INFINITY: Final = Decimal("inf")


def parse_number(text: str) -> Decimal:
    """Return *text* exactly; NaN when it is blank or says so, infinity when it says so.

    Raises:
        ValueError: it is no number.
    """
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        if abs(number) < _LARGEST:
            return number
        raise ValueError("is too large: a number below 1e15 is allowed")
    word = text.strip().lower()
    if word in _ABSENT:
        return _NOT_A_NUMBER
    if word.lstrip("+-") in _INFINITE:
        return _INFINITY
    raise ValueError("is not a number: write digits with a decimal point, no thousands separators")


def parse_plain_numbers(texts: Sequence[str]) -> list[Decimal] | None:
    """Return *texts* exactly if all of them are plain digits, at most five; None if one is not."""
    if _PLAIN_NUMBERS[len(texts)].fullmatch(",".join(texts)):
        return list(map(Decimal, texts))
    return None


def most_decimals(numbers: Iterable[Decimal]) -> int:
    """Return the most decimals that the shortest text of any of *numbers* has, at most nine."""
    most = 0
    step = Decimal(1)
    for number in numbers:
        while number % step and most < MAX_DECIMALS:
            most += 1
            step = step.scaleb(-1)
    return most


def nearest_steps(number: Decimal, step: Decimal) -> tuple[int, Decimal]:
    """Return *number* in whole *steps*, rounded half to even, and by how much that moved it."""
    whole, rest = divmod(number, step)
    if not rest:
        return int(whole), Decimal(0)
    whole = (number / step).to_integral_value(ROUND_HALF_EVEN)
    return int(whole), abs(whole * step - number)


def floor_steps(number: Decimal, step: Decimal) -> tuple[int, bool]:
    """Return *number* in whole *steps*, rounded toward zero, and whether that moved it."""
    whole, rest = divmod(number, step)  # Decimal's quotient is rounded toward zero
    return int(whole), bool(rest)
