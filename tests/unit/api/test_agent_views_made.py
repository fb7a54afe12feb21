"""Tasks as events, alerts once per episode, what is said of an interval, secrets behind a mask."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine import flow
from engine.api.agent_alerts import KEPT, AgentAlerts
from engine.api.agent_rows import flat_config, interval_reason
from engine.api.agent_tasks import ENDED_KEPT, AgentTaskEvent, AgentTaskExecutor
from engine.scheduling.interval_factors import IntervalFactors
from engine.scheduling.task_state import TaskState

PENDING, PROCESSING = flow.EventStatus.PENDING, flow.EventStatus.PROCESSING
COMPLETED, FAILED = flow.EventStatus.COMPLETED, flow.EventStatus.FAILED


@dataclass(eq=False)
class Task:
    """As much of a task as the executor follows."""

    number: int
    event_status: flow.EventStatus = PENDING
    error: BaseException | None = None
    run_time: float | None = None
    agent_id: str = "a"
    task_type: str = "cycle"

    @property
    def id(self) -> str:
        return f"a:cycle:{self.number}"


def note(executor: AgentTaskExecutor, *tasks: Task) -> None:
    for task in tasks:
        executor.note(task, None, TaskState.READY)  # type: ignore[arg-type]  # a stand-in


@pytest.mark.anyio
async def test_events_follow_their_tasks() -> None:
    executor = AgentTaskExecutor()
    waits, runs, quick = Task(1), Task(2, PROCESSING), Task(3, COMPLETED, None, 0.5)
    note(executor, waits, runs, quick)
    await executor.catch_up()
    counts = executor.status_counts()
    assert (counts["pending"], counts["processing"], counts["completed"]) == (1, 1, 1)
    assert executor.completed_events[0].execution.duration == 0.5
    waits.event_status, runs.event_status, runs.error = PROCESSING, FAILED, OSError("no")
    note(executor, waits, waits, runs)
    await executor.catch_up()
    counts = executor.status_counts()
    assert (counts["pending"], counts["processing"], counts["failed"]) == (0, 1, 1)
    assert isinstance(executor.failed_events[0].execution.error, OSError)
    assert "Executor State (agents):" in executor.inspect_state()


@pytest.mark.anyio
async def test_the_newest_ended_events_stay_listed_and_memory_stays_flat() -> None:
    executor = AgentTaskExecutor()
    for lap in range(30):
        note(executor, *(Task(lap * 100 + n, COMPLETED) for n in range(99)))
        note(executor, Task(lap * 100 + 99, FAILED))
        await executor.catch_up()
    assert not executor._events
    assert not executor._changed
    assert len(executor.states.items) == ENDED_KEPT == 800
    counts = executor.status_counts()
    assert (counts["completed"], counts["failed"]) == (792, 8)
    newest = executor.failed_events[-1]
    assert isinstance(newest, AgentTaskEvent)
    assert newest.task_id == "a:cycle:2999"
    await executor.cleanup_events(["completed", "failed"])
    note(executor, *(Task(n, COMPLETED) for n in range(100)))
    await executor.catch_up()
    assert len(executor.states.items) == 100


def test_an_alert_is_told_once_per_episode() -> None:
    told: list[tuple[str, str]] = []
    clock = iter(range(1, 1_000))
    alerts = AgentAlerts(tell=lambda *one: told.append(one), wall_ns=lambda: next(clock))
    alerts.raise_alert("k", "late by 3 s", "warning")
    alerts.raise_alert("k", "late by 9 s", "warning")
    assert told == [("warning", "late by 3 s")]
    assert [row.text for row in alerts.rows()] == ["late by 9 s"]
    assert alerts.headline() == ""
    alerts.raise_alert("e", "past its stop", "error")
    assert alerts.headline() == "past its stop"
    alerts.clear_alert("e")
    alerts.clear_alert("k")
    alerts.clear_alert("k")
    assert alerts.headline() == ""
    assert [(row.text, row.is_active) for row in alerts.rows()] == [
        ("past its stop", False),
        ("late by 9 s", False),
    ]
    alerts.raise_alert("k", "late again", "warning")
    assert len(told) == 3


def test_alerts_do_not_grow() -> None:
    alerts = AgentAlerts(tell=lambda *_: None, wall_ns=lambda: 1)
    for number in range(3 * KEPT):
        alerts.raise_alert(str(number), "x", "warning")
        alerts.clear_alert(str(number))
    assert len(alerts.rows()) == KEPT


def factors(**values: float) -> IntervalFactors:
    neutral = dict.fromkeys(IntervalFactors.__dataclass_fields__, 1.0)
    return IntervalFactors(**{**neutral, **values})


@pytest.mark.parametrize(
    ("values", "failures", "reason"),
    [
        ({}, 0, ""),
        ({"market": 0.7}, 0, "lively market"),
        ({"market": 1.3, "performance": 0.5}, 0, "quick runs, quiet market"),
        ({"performance": 1.4, "system": 1.2, "market": 0.99}, 0, "slow or failing runs, busy mach"),
        ({"system": 0.8}, 0, "idle machine"),
        ({"backoff": 4.0, "performance": 1.5}, 3, "3 failures in a row, slow or failing runs"),
    ],
)
def test_the_reason_names_what_moves_the_interval(
    values: dict[str, float], failures: int, reason: str
) -> None:
    assert interval_reason(factors(**values), failures).startswith(reason)
    assert bool(interval_reason(factors(**values), failures)) == bool(reason)


def test_secrets_of_a_configuration_are_masked() -> None:
    config = {
        "interval": 2.5,
        "params": {"api_key": "abc", "nested": {"Password": "x", "url": "http://h"}},
        "token": "t",
        "list": [1, 2],
    }
    assert dict(flat_config(config)) == {
        "interval": "2.5",
        "params.api_key": "********",
        "params.nested.Password": "********",
        "params.nested.url": "http://h",
        "token": "********",
        "list": "[1, 2]",
    }
