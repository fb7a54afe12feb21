"""Drawdown and the kill switch (RISK-4)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.risk.halt import KillSwitch


def switch(limit: str | None = "0.2") -> KillSwitch:
    return KillSwitch(max_drawdown=None if limit is None else Decimal(limit), equity_atoms=1000)


@pytest.mark.parametrize(("equity", "halts"), [(801, False), (800, True), (799, True)])
def test_reaching_the_drawdown_halts(equity: int, halts: bool) -> None:
    guard = switch()
    assert guard.observe(equity) is halts
    assert guard.is_halted is halts


def test_drawdown_counts_from_the_peak() -> None:
    guard = switch()
    assert not guard.observe(2000)
    assert not guard.observe(1601)
    assert guard.observe(1599)
    assert guard.peak_atoms == 2000
    assert guard.reason == "drawdown 0.2005 reached 0.2 (risk.max_drawdown)"


def test_a_halt_is_told_once_and_keeps_its_reason() -> None:
    guard = switch()
    assert guard.observe(700)
    assert not guard.observe(600)
    guard.halt("operator")
    assert guard.reason.startswith("drawdown 0.3 ")


def test_a_person_resumes_and_the_peak_starts_again() -> None:
    guard = switch()
    guard.observe(700)
    guard.resume(700)
    assert not guard.is_halted
    assert not guard.observe(600)
    assert guard.observe(560)


def test_without_a_limit_only_a_person_halts() -> None:
    guard = switch(None)
    assert not guard.observe(0)
    guard.halt("operator")
    assert (guard.is_halted, guard.reason) == (True, "operator")


def test_an_account_that_never_had_equity_has_no_drawdown() -> None:
    guard = KillSwitch(max_drawdown=Decimal("0.1"), equity_atoms=0)
    assert not guard.observe(-5)
