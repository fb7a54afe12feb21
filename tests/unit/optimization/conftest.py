"""Trials that are made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from engine.optimization.constraint import ParameterValue
from engine.optimization.trials import StudyIdentity, TrialRecord, TrialStatus

Records = Callable[..., TrialRecord]


@pytest.fixture
def identity() -> StudyIdentity:
    return StudyIdentity("c0ffee", "da7a", "1.0")


@pytest.fixture
def record(identity: StudyIdentity) -> Records:
    def make(
        index: int,
        parameters: Mapping[str, ParameterValue],
        sharpe: float | None = None,
        *,
        status: TrialStatus = TrialStatus.DONE,
        **metrics: float | str | None,
    ) -> TrialRecord:
        return TrialRecord(
            index,
            identity.trial_key(parameters),
            parameters,
            status,
            {"sharpe": sharpe, "n_trades": 20, **metrics},
            fingerprint=f"f{index}",
            duration_s=0.5,
            worker="w1",
        )

    return make
