"""Plays a recording again: steps, pace, breakpoints, verification (REPLAY-1, REPLAY-2)."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from engine.backtest.replay_settings import Breakpoint, Pace

VERIFIED_KINDS: Final = ("SIGNAL", "ORDER", "FILL")
_FINGERPRINT: Final = -1


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that differs from the recording; None where one side has ended.

    ``seq`` is -1 if the events agree, or were not recorded, and the fingerprints differ.
    """

    seq: int
    recorded: Mapping[str, Any] | None
    replayed: Mapping[str, Any] | None

    def __str__(self) -> str:
        where = "the fingerprint" if self.seq == _FINGERPRINT else f"event {self.seq}"
        recorded = "nothing" if self.recorded is None else json.dumps(self.recorded)
        replayed = "nothing" if self.replayed is None else json.dumps(self.replayed)
        return f"{where} differs:\n  recorded {recorded}\n  replayed {replayed}"


class Player(ABC):
    """What replays of all kinds have in common; a bar is one step of the recording.

    Args:
        expected: recorded events in their order, None if they were not recorded.
        breakpoint_: stops before the next bar when it returns True for an event.
        breakpoints: the same, by kind, symbol and order.
        verifies: whether `step` and `play` stop at the first event that differs, which is then
            in ``difference``.
    """

    def __init__(
        self,
        *,
        expected: Iterable[Mapping[str, Any]] | None,
        breakpoint_: Callable[[Mapping[str, Any]], bool] | None = None,
        breakpoints: Iterable[Breakpoint] = (),
        verifies: bool = False,
    ) -> None:
        self._expected = None if expected is None else _verified(expected)
        self._breakpoint = breakpoint_
        self._breakpoints = tuple(breakpoints)
        self._verifies = verifies
        self._is_paused = False
        self._compared = Compared()
        self.difference: Difference | None = None
        self.hit: Mapping[str, Any] | None = None
        """The event of the breakpoint at which the replay stands, None if at none."""

    @property
    @abstractmethod
    def bars_done(self) -> int:
        """Return how many bars have been replayed."""

    @property
    @abstractmethod
    def bars_total(self) -> int:
        """Return how many bars the recording has."""

    @property
    @abstractmethod
    def now_ns(self) -> int:
        """Return the time of the last bar that was replayed, 0 before the first."""

    @property
    @abstractmethod
    def is_at_end(self) -> bool:
        """Whether all bars have been replayed."""

    @property
    @abstractmethod
    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return the events so far."""

    @property
    @abstractmethod
    def recorded_fingerprint(self) -> str:
        """Return the fingerprint of the recording."""

    @property
    @abstractmethod
    def checkpoints(self) -> tuple[int, ...]:
        """Return the bars to which a seek can go without starting over."""

    @abstractmethod
    def seek(self, bar: int) -> None:
        """Go to the state after *bar* bars, forward or back, from the nearest checkpoint."""

    @abstractmethod
    def run(self) -> str:
        """Replay the rest and return the fingerprint."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""

    @abstractmethod
    def _advance(self, bars: int) -> None:
        """Replay up to *bars* further bars."""

    def step(self, bars: int = 1) -> int:
        """Replay up to *bars* further instants; return how many bars are done.

        It stops earlier at a breakpoint, at a difference, and when it is paused.
        """
        self.hit = None
        looks = self._breakpoint is not None or bool(self._breakpoints) or self._verifies
        left = bars
        while left > 0 and not self.is_at_end and not self._is_paused and not self.difference:
            seen = len(self.events)
            done = self.bars_done
            self._advance(1 if looks else left)
            left -= max(1, self.bars_done - done)
            if self._verifies:
                self.difference = self.find_difference()
            if looks and self._hits_breakpoint(self.events[seen:]):
                break
        return self.bars_done

    def play(
        self,
        pace: Pace,
        *,
        wait: Callable[[float], None],
        shown: Callable[[Self], None] | None = None,
    ) -> bool:
        """Replay to the end, or to where `step` stops; return whether the end is reached.

        Args:
            pace: how many recorded seconds pass in one second; ``step`` is one bar.
            wait: lets that many seconds pass.
            shown: is called after each instant.
        """
        self._is_paused = False
        while not self.is_at_end and not self._is_paused and not self.difference:
            before = self.now_ns
            self.step(1)
            if shown is not None:
                shown(self)
            if self.hit is not None or pace.is_step:
                break
            seconds = pace.seconds(self.now_ns - before) if before else 0.0
            if seconds > 0 and not self._is_paused:
                wait(seconds)
        return self.is_at_end

    def pause(self) -> None:
        """Let `play` stop after the present instant; calling `play` again goes on."""
        self._is_paused = True

    def verify(self, *, until: int | None = None) -> Difference | None:
        """Replay and stop at the first difference; None if there is none (REPLAY-2, REPLAY-3).

        Recorded events (SIGNAL, ORDER, FILL) are compared bar by bar, and at the end the
        fingerprint, which is all there is without recorded events.

        Args:
            until: bar after which to stop; None: verify the whole run.
        """
        if self.difference is not None:
            return self.difference
        last = self.bars_total if until is None else min(until, self.bars_total)
        while self.bars_done < last and not self.is_at_end:
            self._advance(1)
            difference = self.find_difference()
            if difference is not None:
                return difference
        if until is not None:
            return self.find_difference()
        mark = self.run()
        difference = self.find_difference(is_over=True)
        if difference is not None:
            return difference
        if mark != self.recorded_fingerprint:
            return Difference(
                _FINGERPRINT, {"fingerprint": self.recorded_fingerprint}, {"fingerprint": mark}
            )
        return None

    def find_difference(self, *, is_over: bool = False) -> Difference | None:
        """Compare the events so far with the recording.

        Args:
            is_over: nothing more is to come, so that what is missing is a difference too.
        """
        expected = self._expected
        if expected is None:
            return None
        compared = self._compared
        rows = self.events
        while compared.rows < len(rows):
            row = rows[compared.rows]
            compared.rows += 1
            if row["kind"] not in VERIFIED_KINDS:
                continue
            there = _comparable(row)
            here = expected[compared.events] if compared.events < len(expected) else None
            compared.events += 1
            if here != there:
                return Difference(int((here or there)["seq"]), here, there)
        if is_over and compared.events < len(expected):
            missing = expected[compared.events]
            return Difference(int(missing["seq"]), missing, None)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _hits_breakpoint(self, fresh: Sequence[Mapping[str, Any]]) -> bool:
        for event in fresh:
            is_hit = self._breakpoint is not None and self._breakpoint(event)
            if is_hit or any(one.hits(event) for one in self._breakpoints):
                self.hit = event
                return True
        return False


@dataclass(slots=True)
class Compared:
    """How far the comparison is: rows of the replay, verified events of the recording."""

    rows: int = 0
    events: int = 0


def _verified(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [_comparable(one) for one in events if one["kind"] in VERIFIED_KINDS]


def _comparable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return *event* as JSON values, without the container: a replay has one of its own."""
    values: dict[str, Any] = json.loads(json.dumps(dict(event), default=str))
    values.pop("container_id", None)
    return values
