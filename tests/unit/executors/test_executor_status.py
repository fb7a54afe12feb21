"""Statuses: the transition table is the truth table."""

from __future__ import annotations

import itertools

import pytest

from engine.executors.status import (
    CloseType,
    IllegalTransitionError,
    Lifecycle,
    RunnableStatus,
    check_transition,
    lifecycle_of,
)

S = RunnableStatus
LEGAL = {
    (S.NOT_STARTED, S.RUNNING),
    (S.NOT_STARTED, S.TERMINATED),
    (S.RUNNING, S.SHUTTING_DOWN),
    (S.RUNNING, S.TERMINATED),
    (S.SHUTTING_DOWN, S.TERMINATED),
}


@pytest.mark.parametrize(("current", "wanted"), itertools.product(S, S))
def test_only_the_transitions_of_the_table_are_legal(
    current: RunnableStatus, wanted: RunnableStatus
) -> None:
    if (current, wanted) in LEGAL:
        check_transition("x", current, wanted)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{current.name} -> {wanted.name}"):
            check_transition("x", current, wanted)


def test_the_values_are_field_standard() -> None:
    assert [status.value for status in S] == [1, 2, 3, 4]
    assert [(close.name, close.value) for close in CloseType] == [
        ("TIME_LIMIT", 1),
        ("STOP_LOSS", 2),
        ("TAKE_PROFIT", 3),
        ("EXPIRED", 4),
        ("EARLY_STOP", 5),
        ("TRAILING_STOP", 6),
        ("INSUFFICIENT_BALANCE", 7),
        ("FAILED", 8),
        ("COMPLETED", 9),
        ("POSITION_HOLD", 10),
    ]


@pytest.mark.parametrize(
    ("status", "close_type", "label"),
    [
        (S.NOT_STARTED, None, Lifecycle.CREATED),
        (S.RUNNING, None, Lifecycle.RUNNING),
        (S.SHUTTING_DOWN, CloseType.FAILED, Lifecycle.SHUTTING_DOWN),
        (S.TERMINATED, CloseType.FAILED, Lifecycle.FAILED),
        (S.TERMINATED, CloseType.INSUFFICIENT_BALANCE, Lifecycle.FAILED),
        (S.TERMINATED, CloseType.TAKE_PROFIT, Lifecycle.TERMINATED),
        (S.TERMINATED, None, Lifecycle.TERMINATED),
    ],
)
def test_the_lifecycle_is_derived(
    status: RunnableStatus, close_type: CloseType | None, label: Lifecycle
) -> None:
    assert lifecycle_of(status, close_type) is label
