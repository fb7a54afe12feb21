"""The filter of lists that are in the console: words, ``field:value``, ``field<num``, ``!not``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple

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
        found = parse_terms(text, texts=tuple(self._texts), numbers=tuple(self._numbers))
        terms = [self._predicate(term) for term in found]
        return lambda row: all(term(row) for term in terms)

    def _predicate(self, term: Term) -> Callable[[RowT], bool]:
        holds = self._plain(term)
        return (lambda row: not holds(row)) if term.is_not else holds

    def _plain(self, term: Term) -> Callable[[RowT], bool]:
        bound = term.value
        if isinstance(bound, str):
            readers = list(self._texts.values()) if not term.field else [self._texts[term.field]]
            return lambda row: any(bound in read(row).casefold() for read in readers)
        read = self._numbers[term.field]
        compare = _COMPARE[term.sign]

        def matches(row: RowT) -> bool:
            present = read(row)
            return present is not None and compare(present, bound)

        return matches


class Term(NamedTuple):
    """One condition: *field* compared by *sign* with *value*.

    A text value is in lower case and must be contained; without a field, in any text field.
    """

    field: str
    sign: str
    value: str | float
    is_not: bool = False


def parse_terms(text: str, *, texts: Sequence[str], numbers: Sequence[str]) -> tuple[Term, ...]:
    """Return the conditions of a filter, all of which must hold.

    Args:
        text: what was typed.
        texts: names of the text fields.
        numbers: names of the number fields.

    Raises:
        RowFilterError: an unclosed quote, an unknown field or a bad number.
    """
    if text.count('"') % 2:
        raise RowFilterError(f"the quote in {text.strip()!r} is not closed")
    return tuple(_term(token, texts, numbers) for token in _TOKEN.findall(text))


def _term(token: str, texts: Sequence[str], numbers: Sequence[str]) -> Term:
    if token.startswith("!") and len(token) > 1:
        inner = _term(token[1:], texts, numbers)
        return inner._replace(is_not=not inner.is_not)
    match = _TERM.fullmatch(token)
    if match is None:
        return Term("", ":", token.replace('"', "").casefold())
    name, sign = match.group(1).lower(), match.group(2)
    value = match.group(3).replace('"', "")
    if name in texts:
        if sign != ":":
            raise RowFilterError(f"{name} is text: write {name}:{value or 'value'}")
        return Term(name, sign, value.casefold())
    if name not in numbers:
        known = ", ".join((*texts, *numbers))
        raise RowFilterError(f"there is no field {name!r}; fields are {known}")
    return Term(name, "=" if sign == ":" else sign, _number(name, sign, value))


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
