"""What is copied and exported: exact, without separators, with ISO times."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from tui.formatting import iso_time, raw_text
from tui.state.columns import raw_of, time_of
from tui.state.executor_source import COLUMNS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (Decimal("64120.50"), "64120.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("NaN"), ""),
        (-56.1, "-56.1"),
        (1e-7, "0.0000001"),
        (float("inf"), ""),
        ((1.0, 2.5), "1.0 2.5"),
        (212, "212"),
        ("SELL", "SELL"),
    ],
)
def test_values_are_exact(value: object, text: str) -> None:
    assert raw_text(value) == text


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (1_772_453_071_204_000_000, "2026-03-02T12:04:31.204Z"),
        (1_772_453_071_000_000_000, "2026-03-02T12:04:31Z"),
        (1_772_453_071_000_000_001, "2026-03-02T12:04:31.000000001Z"),
        (1_772_453_071_500_000_000, "2026-03-02T12:04:31.500Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, ""),
        (10**30, ""),
        (None, ""),
    ],
)
def test_times_are_iso(at_ns: int | None, text: str) -> None:
    assert iso_time(at_ns) == text


def test_columns_read_attributes() -> None:
    row = SimpleNamespace(price=Decimal("1234.50"), ts_ns=0)
    assert raw_of("price")(row) == "1234.50"
    assert time_of("ts_ns")(row) == "1970-01-01T00:00:00Z"


def test_a_copied_executor_has_no_arrows_and_no_separators() -> None:
    from engine.testing.fake_rows import make_rows

    row = next(make_rows(18))
    copied = {column.key: column.copied(row) for column in COLUMNS}
    assert Decimal(copied["pnl"]) == row.net_pnl_quote
    assert Decimal(copied["pnl_pct"]) == row.net_pnl_pct
    assert Decimal(copied["entry"]) == row.entry_price
    assert float(copied["age"]) == row.age_s
    assert copied["state"] in {row.lifecycle, row.close_type}
    assert not set("▲▼●✓") & set("".join(copied.values()))
