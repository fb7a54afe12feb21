"""Windows of a walk-forward study (OPT-16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.flow.errors import ConfigurationError
from engine.model.durations import parse_duration_ns


@dataclass(frozen=True, slots=True)
class Span:
    """Bars ``start`` to ``stop``, the last one excluded."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Fold:
    """Training and test data of one step.

    ``train`` is what is left of the training window without the embargoes of earlier tests: one
    or more spans, in order, none empty.
    """

    number: int
    train: tuple[Span, ...]
    test: Span


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Sizes of a walk-forward study in bars.

    With *anchored* every training window begins at the first bar. *purge* bars between training
    and test, and *embargo* bars behind a test window, are never trained on.
    """

    train: int
    test: int
    step: int
    anchored: bool = False
    purge: int = 0
    embargo: int = 0

    def __post_init__(self) -> None:
        for name in ("train", "test", "step"):
            if getattr(self, name) < 1:
                raise ConfigurationError(
                    f"walk_forward.{name}: {getattr(self, name)} bars, at least 1 is needed"
                )
        for name in ("purge", "embargo"):
            if getattr(self, name) < 0:
                raise ConfigurationError(
                    f"walk_forward.{name}: {getattr(self, name)} bars, it cannot be negative"
                )

    def folds(self, bars: int) -> tuple[Fold, ...]:
        """Return the folds that fit entirely into *bars* bars.

        Raises:
            ConfigurationError: not even one fits, or an embargo leaves nothing to train on.
        """
        needed = self.train + self.purge + self.test
        if needed > bars:
            raise ConfigurationError(
                f"walk_forward: {self.train} + {self.purge} + {self.test} bars do not fit into "
                f"the {bars} bars of the data; use shorter windows"
            )
        count = (bars - needed) // self.step + 1
        tests = [self._test(number) for number in range(count)]
        return tuple(
            Fold(number, self._train(number, tests[:number]), tests[number])
            for number in range(count)
        )

    def _test(self, number: int) -> Span:
        start = number * self.step + self.train + self.purge
        return Span(start, start + self.test)

    def _train(self, number: int, earlier: Sequence[Span]) -> tuple[Span, ...]:
        stop = number * self.step + self.train
        spans = [Span(0 if self.anchored else number * self.step, stop)]
        for test in earlier:
            hole = Span(test.stop, test.stop + self.embargo)
            spans = [part for span in spans for part in _without(span, hole)]
        if not spans:
            raise ConfigurationError(
                f"walk_forward.embargo: {self.embargo} bars leave fold {number} nothing to train "
                "on; use a shorter embargo"
            )
        return tuple(spans)


def bars_of(value: object, name: str, bar_ns: int) -> int:
    """Return a window length in bars: *value* is a number of bars or a duration such as ``90d``.

    Raises:
        ConfigurationError: it is neither, or no whole number of bars of *bar_ns*.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        duration_ns = parse_duration_ns(str(value))
    except ValueError as error:
        raise ConfigurationError(
            f"walk_forward.{name}: {value!r} is neither a number of bars nor a duration like 90d",
            cause=error,
        ) from error
    bars, rest = divmod(duration_ns, bar_ns)
    if rest:
        raise ConfigurationError(
            f"walk_forward.{name}: {value!r} is no whole number of bars of the data"
        )
    return bars


def parse_walk_forward(plain: Mapping[str, object], bar_ns: int) -> WalkForward:
    """Return the walk-forward study that a configuration describes; lengths as in `bars_of`.

    Raises:
        ConfigurationError: a length is missing, unknown or cannot be used.
    """
    lengths = ("train", "test", "step", "purge", "embargo")
    if unknown := sorted(set(plain) - {*lengths, "anchored"}):
        raise ConfigurationError(
            f"walk_forward.{unknown[0]}: is unknown, allowed are {', '.join(lengths)}, anchored"
        )
    for name in ("train", "test"):
        if name not in plain:
            raise ConfigurationError(f"walk_forward.{name}: is missing, give bars or a duration")
    found = {name: bars_of(plain[name], name, bar_ns) for name in lengths if name in plain}
    anchored = plain.get("anchored", False)
    if not isinstance(anchored, bool):
        raise ConfigurationError(f"walk_forward.anchored: {anchored!r} is not true or false")
    found.setdefault("step", found["test"])
    return WalkForward(anchored=anchored, **found)


def _without(span: Span, hole: Span) -> tuple[Span, ...]:
    parts = (
        Span(span.start, min(span.stop, hole.start)),
        Span(max(span.start, hole.stop), span.stop),
    )
    if hole.stop <= hole.start:
        return (span,)
    return tuple(part for part in parts if part.stop > part.start)
