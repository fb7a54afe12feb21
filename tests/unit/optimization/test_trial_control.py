"""How a study watches a trial: as seldom as it can, because every bar counts."""

from __future__ import annotations

from engine.optimization.backtest_trials import AskingControl, TrialControl


def report(control: TrialControl, equity_atoms: int) -> None:
    control.report(
        bars_done=1, bars_total=9, now_ns=1, equity_atoms=equity_atoms, fills=0, events=1, errors=0
    )


def test_nobody_looks_at_a_trial_that_cannot_be_hopeless() -> None:
    control = TrialControl()
    assert not control.is_due
    report(control, 1)
    assert not control.is_cancelled
    control.cancel()
    assert control.is_cancelled


def test_a_trial_that_may_be_hopeless_is_looked_at_now_and_then() -> None:
    control = TrialControl(0.5)
    assert control.is_due
    report(control, 1000)
    assert not control.is_due  # the next look is some milliseconds later
    report(control, 501)
    assert not control.is_cancelled
    report(control, 499)
    assert control.is_hopeless
    assert control.is_cancelled


def test_a_study_that_is_asked_ends_its_trial() -> None:
    answers = [False, True]
    control = AskingControl(lambda: answers.pop(0))
    assert not control.is_cancelled
    assert control.is_cancelled
    control = AskingControl(lambda: False)
    control.cancel()
    assert control.is_cancelled
    assert not control.is_hopeless
