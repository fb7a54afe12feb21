"""An executor under producers, cancellation and cleaning agrees with itself at every step."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine import flow

S = flow.EventStatus


class Work(flow.Event):
    kind: str = "quick"
    runs: int = 0
    gate: Any = None

    @property
    def request(self) -> dict[str, object]:
        return {"kind": self.kind}

    async def _invoke(self) -> str:
        self.runs += 1
        if self.kind == "error":
            raise ValueError(self.kind)
        if self.kind == "gated":
            await self.gate.wait()
        if self.kind == "yields":
            await asyncio.sleep(0)
        if self.kind == "timeout":
            await asyncio.Event().wait()
        return self.kind


class WorkProcessor(flow.Processor):
    event_type = Work

    async def request_permission(self, **request: Any) -> Any:
        await asyncio.sleep(0)
        if request["kind"] == "unasked":
            raise ValueError(request["kind"])
        return True


class Free(flow.Processor):
    event_type = Work


class Checked(flow.Executor):
    processor_type = WorkProcessor


class Unchecked(flow.Executor):
    processor_type = Free


class ExecutorMachine(RuleBasedStateMachine):
    executor_type: ClassVar[type[flow.Executor]] = Unchecked

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.executor = self.executor_type(
            {
                "queue_capacity": 10_000,
                "capacity_refresh_time": 0.01,
                "concurrency_limit": 3,
                "max_queue_size": 30,
            }
        )
        self.gate: asyncio.Event = self.run(self.make_gate())
        self.events: list[Work] = []
        self.batches: list[asyncio.Task[None]] = []
        self.changes: list[tuple[S, S]] = []
        self.executor.subscribe(lambda _event, old, new: self.changes.append((old, new)))

    def run(self, work: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(10):
                return await work

        return self.runner.run(bounded())

    async def make_gate(self) -> asyncio.Event:
        return asyncio.Event()

    def pick(self, number: int) -> Work:
        return self.events[number % len(self.events)]

    @rule(
        kinds=st.lists(
            st.sampled_from(["quick", "error", "gated", "yields", "timeout", "unasked"]),
            min_size=1,
            max_size=8,
        ),
        priority=st.none() | st.integers(0, 3),
    )
    def append_concurrently(self, kinds: list[str], priority: float | None) -> None:
        async def one(event: Work) -> None:
            try:
                await self.executor.append(event, priority)
            except flow.QueueFullError:
                return
            self.events.append(event)

        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                for kind in kinds:
                    limit = 0.001 if kind == "timeout" else None
                    group.create_task(one(Work(kind=kind, gate=self.gate, timeout=limit)))

        self.run(all_of_them())

    @rule(is_on=st.booleans())
    def start_or_stop(self, is_on: bool) -> None:
        self.run(self.executor.start() if is_on else self.executor.stop())

    @rule(steps=st.integers(1, 6))
    def let_it_run(self, steps: int) -> None:
        async def some_steps() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
                self.agrees()

        self.run(some_steps())

    @precondition(lambda self: self.events)
    @rule(numbers=st.lists(st.integers(0, 1000), max_size=5), is_skip=st.booleans())
    def cancel_or_skip(self, numbers: list[int], is_skip: bool) -> None:
        async def rain() -> None:
            act = self.executor.skip if is_skip else self.executor.cancel
            async with asyncio.TaskGroup() as group:
                for number in numbers:
                    if (event := self.pick(number)) in self.executor:
                        group.create_task(act(event))

        self.run(rain())

    @rule(statuses=st.none() | st.sets(st.sampled_from(list(S)), max_size=3))
    def clean(self, statuses: set[S] | None) -> None:
        self.run(self.executor.cleanup_events(statuses))

    @rule()
    def open_the_gate_and_join(self) -> None:
        async def drain() -> None:
            self.gate.set()
            await asyncio.sleep(0)
            if self.executor.processor is not None:
                await self.executor.start()
                await self.executor.processor.join()
                assert not self.executor.processing_events
                assert not self.executor.pending_events
            self.gate.clear()

        self.run(drain())

    @precondition(lambda self: self.executor.processor is not None)
    @rule(gives_up=st.booleans())
    def forward(self, gives_up: bool) -> None:
        async def batch() -> None:
            self.gate.set()
            task = asyncio.get_running_loop().create_task(self.executor.forward())
            await asyncio.sleep(0)
            if gives_up:
                task.cancel()
            await asyncio.wait({task})
            self.gate.clear()

        self.run(batch())

    @precondition(lambda self: self.executor.processor is not None)
    @rule()
    def forward_beside_everything_else(self) -> None:
        async def begin() -> None:
            work = self.executor.forward()
            self.batches.append(asyncio.get_running_loop().create_task(work))
            await asyncio.sleep(0)

        self.run(begin())

    @invariant()
    def whatever_runs_can_be_found(self) -> None:
        processor = self.executor.processor
        running = {event.id for event in self.executor.processing_events}
        for worker in () if processor is None else processor.workers():
            if worker.event is not None:
                running.discard(worker.event.id)
        assert not running

    @invariant()
    def agrees(self) -> None:
        executor = self.executor
        listed = [key for s in S for key in executor.states.get_progression(s.value).order]
        assert len(listed) == len(set(listed)) == len(executor.states.items)
        assert set(listed) == set(executor.states.items.keys())
        counts = executor.status_counts()
        assert sum(counts.values()) == len(listed)
        assert counts["processing"] <= 3
        for status in S:
            for event in executor.get_events_by_status(status):
                assert event.status is status or status is S.PROCESSING

    @invariant()
    def nothing_runs_twice_and_changes_are_allowed(self) -> None:
        assert all(event.runs <= 1 for event in self.events)
        assert not [one for one in self.changes if one[0].is_terminal]

    def teardown(self) -> None:
        self.run(self.executor.shutdown(timeout=0))
        self.agrees()

        async def left() -> list[str]:
            names = [task.get_name() for task in asyncio.all_tasks()]
            return [name for name in names if name.startswith("flow")]

        assert not self.run(left())
        self.runner.close()


class CheckedMachine(ExecutorMachine):
    executor_type = Checked


limits = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestUnchecked = ExecutorMachine.TestCase
TestUnchecked.settings = limits
TestChecked = CheckedMachine.TestCase
TestChecked.settings = limits
