"""The filter of lists that are in the console: words, ``field:value``, ``field<num``, ``!not``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, Generic

from tui.state.columns import RowT

_TOKEN: Final = re.compile(r'(?:[^\s"]|"[^"]*")+|"')
_TERM: Final = re.compile(r"([A-Za-z_]\w*)(:|<=|>=|<|>|=)(.*)", re.DOTALL)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "%": 0.01, "k": 1_000.0}


class RowFilterError(ValueError):
    """A filter that cannot be read; the text says what is wrong and what is allowed."""


class RowFilter(Generic[RowT]):
    """Makes predicates over rows. A bare word is looked for in every text field.

    Args:
        texts: text fields by name.
        numbers: number fields by name; None means unknown, which no comparison matches.
    """

    def __init__(
        self,
        *,
        texts: Mapping[str, Callable[[RowT], str]],
        numbers: Mapping[str, Callable[[RowT], float | None]],
    ) -> None:
        self._texts = texts
        self._numbers = numbers

    def parse(self, text: str) -> Callable[[RowT], bool]:
        """Return the predicate that *text* describes; all of its terms must hold.

        Raises:
            RowFilterError: an unclosed quote, an unknown field or a bad number.
        """
        if text.count('"') % 2:
            raise RowFilterError(f"the quote in {text.strip()!r} is not closed")
        terms = [self._term(token) for token in _TOKEN.findall(text)]
        return lambda row: all(term(row) for term in terms)

    def _term(self, token: str) -> Callable[[RowT], bool]:
        if token.startswith("!") and len(token) > 1:
            inner = self._term(token[1:])
            return lambda row: not inner(row)
        match = _TERM.fullmatch(token)
        if match is None:
            word = token.replace('"', "").casefold()
            return lambda row: any(word in read(row).casefold() for read in self._texts.values())
        name, sign, value = match.group(1).lower(), match.group(2), match.group(3)
        return self._field(name, sign, value.replace('"', ""))

    def _field(self, name: str, sign: str, value: str) -> Callable[[RowT], bool]:
        read_text = self._texts.get(name)
        if read_text is not None and sign == ":":
            needle = value.casefold()
            return lambda row: needle in read_text(row).casefold()
        if read_text is not None:
            raise RowFilterError(f"{name} is text: write {name}:{value or 'value'}")
        read = self._numbers.get(name)
        if read is None:
            known = ", ".join((*self._texts, *self._numbers))
            raise RowFilterError(f"there is no field {name!r}; fields are {known}")
        bound = _number(name, sign, value)
        compare = _COMPARE["=" if sign == ":" else sign]

        def matches(row: RowT) -> bool:
            present = read(row)
            return present is not None and compare(present, bound)

        return matches


def _number(name: str, sign: str, value: str) -> float:
    digits, scale = value.replace(",", "").lower(), 1.0
    for unit, factor in _UNITS.items():
        if digits.endswith(unit):
            digits, scale = digits.removesuffix(unit), factor
            break
    try:
        number = float(digits)
    except ValueError:
        number = float("nan")
    if not math.isfinite(number):
        raise RowFilterError(f"{name}{sign} needs a number, not {value!r}: {name}{sign}0")
    return number * scale
