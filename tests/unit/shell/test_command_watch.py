"""Outcomes of commands: each is told once, failures last, alike ones together."""

from __future__ import annotations

from engine.api import commands
from engine.api.commands import RunAgentNow, StopExecutor, StoreExecutor
from engine.testing.fake_console import FakeConsoleEngine
from tui.state.command_watch import CommandWatch
from tui.state.command_words import words_of

UNSEEN = "3H2gfZaps3gcPK4nXA2qDk23TRyUfMB8ASt7ysFEKaYC"
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
    assert (outcome.text, outcome.ok) == ("Stopped executor one", True)
    assert watch.outcomes() == ()


def test_failures_that_are_alike_are_one_sentence_with_their_names() -> None:
    engine = FakeConsoleEngine(refusal="risk: kill switch is on")
    watch = CommandWatch(engine)
    watch.add(stop(engine, LONG, "two", "three", "four"))
    (outcome,) = watch.outcomes()
    assert not outcome.ok
    assert outcome.text == (
        "Could not stop 4 executors: 9WiA4guY, two, three and 1 more: risk: kill switch is on"
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
        "Stopped executor three",
        "Could not stop executor one: it is closing",
        "Could not stop executor two: it has ended",
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


def test_what_went_well_is_said_in_the_words_of_the_engine_or_in_one_sentence() -> None:
    engine = FakeConsoleEngine(hold_commands=True)
    watch = CommandWatch(engine)
    run = engine.submit(RunAgentNow(session="main", agent_id="prices"))
    watch.add([run])
    engine.finish(run, answer="prices ran: 3 quotes")
    assert [one.text for one in watch.outcomes()] == ["prices ran: 3 quotes"]
    (long,) = stop(engine, LONG)
    watch.add([long])
    engine.finish(long, answer=f"executor {LONG} stops")
    assert [one.text for one in watch.outcomes()] == ["Executor 9WiA4guY stops"]
    several = stop(engine, "one", "two")
    watch.add(several)
    for command_id, name in zip(several, ("one", "two"), strict=True):
        engine.finish(command_id, answer=f"executor {name} stops")
    assert [one.text for one in watch.outcomes()] == ["Stopped 2 executors: one, two"]


def test_ids_are_as_short_as_in_the_tables() -> None:
    """The reason of a creation names an executor that its command could not know."""
    engine = FakeConsoleEngine(hold_commands=True)
    watch = CommandWatch(engine)
    (command_id,) = stop(engine, "one")
    watch.add([command_id])
    engine.finish(command_id, answer=f"executor {UNSEEN} started")
    assert [outcome.text for outcome in watch.outcomes()] == ["Executor 3H2gfZap started"]


def test_every_command_has_words_of_its_own() -> None:
    kinds = [
        one.__name__
        for one in vars(commands).values()
        if isinstance(one, type)
        and issubclass(one, commands.Command)
        and not one.__name__.endswith("Command")
    ]
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.lower() not in words_of(kind).past.replace(" ", "")
        assert not words_of(kind).past.startswith("did ")
    assert words_of("ReadTheNews") == ("read the news", "did read the news", "")
