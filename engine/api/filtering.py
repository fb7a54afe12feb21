"""The filter language of the executor table: text in, a predicate over rows out.

Terms are joined by "and". A bare word matches anywhere in a row's text; ``field:value`` searches
one field; ``field<num``, ``field<=num``, ``field>num``, ``field>=num`` and ``field=num`` compare; a
leading ``!`` negates one term; double quotes group. Numbers may end in ``%`` (a fraction is
compared: ``pnl_pct<-1%``), ``k`` or ``m``, and in ``s``, ``m``, ``h``, ``d`` for ``age``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from engine.api.executor_facts import ExecutorFacts
from engine.api.views import ExecutorRow

Filterable: TypeAlias = ExecutorRow | ExecutorFacts
Predicate: TypeAlias = Callable[[Filterable], bool]


class FilterError(ValueError):
    """A filter that cannot be read; the text says what is wrong and what is allowed."""


TEXT_FIELDS: Final[Mapping[str, Callable[[Filterable], str]]] = {
    "id": lambda row: row.id,
    "type": lambda row: row.type,
    "controller": lambda row: row.controller_id,
    "connector": lambda row: row.connector_name,
    "pair": lambda row: row.trading_pair,
    "side": lambda row: row.side,
    "state": lambda row: row.lifecycle,
    "status": lambda row: row.lifecycle,
    "close": lambda row: row.close_type or "",
    "error": lambda row: row.last_error,
}

NUMBER_FIELDS: Final[Mapping[str, Callable[[Filterable], Decimal | float | None]]] = {
    "amount": lambda row: row.amount,
    "filled": lambda row: row.filled_amount,
    "entry": lambda row: row.entry_price,
    "mark": lambda row: row.mark_price,
    "pnl": lambda row: row.net_pnl_quote,
    "pnl_pct": lambda row: row.net_pnl_pct,
    "pnl%": lambda row: row.net_pnl_pct,
    "fees": lambda row: row.fees_quote,
    "volume": lambda row: row.volume_quote,
    "age": lambda row: row.age_s,
    "retries": lambda row: row.retries,
}

_COMPARE: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SCALES: Final = {"%": Decimal("0.01"), "k": Decimal(1_000), "m": Decimal(1_000_000)}
_TOKEN: Final = re.compile(r'(?:[^\s"]|"[^"]*")+|"')
_TERM: Final = re.compile(r"([A-Za-z_]+%?)(:|<=|>=|<|>|=)(.*)", re.DOTALL)


def parse_filter(text: str) -> Predicate:
    """Return the predicate that *text* describes; empty text matches every row.

    Raises:
        FilterError: an unclosed quote, an unknown field, a wrong operator or a bad number.
    """
    if text.count('"') % 2:
        raise FilterError(f"the quote in {text.strip()!r} is not closed")
    terms = [_parse_term(token) for token in _TOKEN.findall(text)]

    def matches(row: Filterable) -> bool:
        return all(term(row) for term in terms)

    return matches


def _parse_term(token: str) -> Predicate:
    if token.startswith("!") and len(token) > 1:
        inner = _parse_term(token[1:])
        return lambda row: not inner(row)
    match = _TERM.fullmatch(token)
    if match is None:
        return _word(token.replace('"', ""))
    name, operator, value = match.group(1).lower(), match.group(2), match.group(3).replace('"', "")
    if operator == ":":
        return _contains(name, value)
    return _compares(name, operator, value)


def _word(word: str) -> Predicate:
    needle = word.lower()
    return lambda row: needle in _words_of(row)


def _words_of(row: Filterable) -> str:
    """Return all text of *row* in small letters, field by field; facts remember it."""
    if isinstance(row, ExecutorFacts):
        row.words = row.words or _joined(row)
        return row.words
    return _joined(row)


def _joined(row: Filterable) -> str:
    return "\n".join(read(row).lower() for read in TEXT_FIELDS.values())


def _contains(name: str, value: str) -> Predicate:
    read = TEXT_FIELDS.get(name)
    if read is None:
        if name in NUMBER_FIELDS:
            return _compares(name, "=", value)
        raise _unknown(name)
    needle = value.lower()
    return lambda row: needle in read(row).lower()


def _compares(name: str, operator: str, value: str) -> Predicate:
    read = NUMBER_FIELDS.get(name)
    if read is None:
        if name in TEXT_FIELDS:
            raise FilterError(f"{name} is text: write {name}:{value or 'value'}")
        raise _unknown(name)
    bound = _number(name, operator, value)
    compare = _COMPARE[operator]

    def matches(row: Filterable) -> bool:
        present = read(row)
        if present is None:
            return False
        exact = present if isinstance(present, Decimal) else Decimal(repr(present))
        return compare(exact, bound)

    return matches


def _number(name: str, operator: str, value: str) -> Decimal:
    """Return *value* as a number; durations in seconds, percent as a fraction."""
    digits, scale = value.replace(",", "").replace("_", "").lower(), Decimal(1)
    suffix = digits[-1:]
    if name == "age" and suffix in _SECONDS:
        digits, scale = digits[:-1], Decimal(_SECONDS[suffix])
    elif name != "age" and suffix in _SCALES:
        digits, scale = digits[:-1], _SCALES[suffix]
    try:
        number = Decimal(digits)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise FilterError(f"{name}{operator} needs a number, not {value!r}: {name}{operator}0")
    return number * scale


def _unknown(name: str) -> FilterError:
    known = ", ".join([*TEXT_FIELDS, *(field for field in NUMBER_FIELDS if field != "pnl%")])
    return FilterError(f"there is no field {name!r}; fields are {known}")
