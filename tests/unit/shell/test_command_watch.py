"""Outcomes of commands: each is told once, failures last, alike ones together."""

from __future__ import annotations

from engine.api.commands import StopExecutor, StoreExecutor
from engine.testing.fake_console import FakeConsoleEngine
from tui.state.command_watch import CommandWatch

LONG = "9WiA4guYkJ3L5mN7pQ9rS1tU"


def stop(engine: FakeConsoleEngine, *names: str) -> list[str]:
    return [engine.submit(StopExecutor(session="main", executor_id=name)) for name in names]


def test_nothing_is_told_before_a_command_has_ended() -> None:
    engine = FakeConsoleEngine(hold_commands=True)
    watch = CommandWatch(engine)
    (command_id,) = stop(engine, "one")
    watch.add([command_id])
    assert watch.outcomes() == ()
    engine.finish(command_id)
    (outcome,) = watch.outcomes()
    assert (outcome.text, outcome.ok) == ("StopExecutor one completed", True)
    assert watch.outcomes() == ()


def test_failures_that_are_alike_are_one_sentence_with_their_names() -> None:
    engine = FakeConsoleEngine(refusal="risk: kill switch is on")
    watch = CommandWatch(engine)
    watch.add(stop(engine, LONG, "two", "three", "four"))
    (outcome,) = watch.outcomes()
    assert not outcome.ok
    assert outcome.text == (
        "StopExecutor failed for 4 executors: 9WiA4guY, two, three and 1 more: "
        "risk: kill switch is on"
    )


def test_every_failure_of_a_bulk_command_is_told_and_comes_after_what_went_well() -> None:
    engine = FakeConsoleEngine(hold_commands=True)
    watch = CommandWatch(engine)
    first, second, third = stop(engine, "one", "two", "three")
    watch.add([first, second, third])
    engine.finish(first, reason="it is closing")
    engine.finish(second, reason="it has ended")
    engine.finish(third)
    assert [outcome.text for outcome in watch.outcomes()] == [
        "StopExecutor three completed",
        "StopExecutor one failed: it is closing",
        "StopExecutor two failed: it has ended",
    ]


def test_a_command_that_the_engine_has_forgotten_is_waited_for() -> None:
    watch = CommandWatch(FakeConsoleEngine())
    watch.add(["gone"])
    assert watch.outcomes() == ()


def test_kinds_are_told_apart() -> None:
    engine = FakeConsoleEngine()
    watch = CommandWatch(engine)
    watch.add(stop(engine, "one"))
    watch.add([engine.submit(StoreExecutor(session="main", executor_id="one"))])
    assert len(watch.outcomes()) == 2
