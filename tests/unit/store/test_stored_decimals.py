"""The text form of decimals: exact, plain, one for each value."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from engine.store.decimal_text import from_text, to_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("-0.0", "0"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1e-9", "0.000000001"),
        ("-12.3400", "-12.34"),
        ("0.10", "0.1"),
        ("1e56", "1" + "0" * 56),
    ],
)
def test_a_value_has_one_plain_text(value: str, text: str) -> None:
    assert to_text(Decimal(value)) == text
    assert from_text(text) == Decimal(value)


def test_the_decimal_context_does_not_round() -> None:
    value = Decimal("123456789.123456789123456789123456789123456789")
    with localcontext() as context:
        context.prec = 3
        assert to_text(value) == str(value)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        to_text(Decimal(value))
