"""Which combinations are tried, and in which order (OPT-3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.flow.errors import ConfigurationError
from engine.model.draws import uniform

RANDOM_STREAM: Final = 4
"""Stream of the optimiser's draws."""

ETA: Final = 3
"""Successive halving keeps one of so many."""


def grid_indices(size: int) -> range:
    """Return every combination of a space with *size* of them."""
    return range(size)


def random_indices(seed: int, count: int, size: int) -> Iterator[int]:
    """Yield *count* different combinations out of *size*, drawn by *seed*.

    Draw t picks ``floor(u(seed, 4, t, a) * size)`` for a = 0, 1, ... until it is new (OPT-3).

    Raises:
        ConfigurationError: *count* is not between 1 and *size*.
    """
    if not 1 <= count <= size:
        raise ConfigurationError(
            f"method.n: {count} of {size} combinations; it must be between 1 and {size}"
        )
    seen: set[int] = set()
    for draw in range(count):
        attempt = 0
        while (index := math.floor(uniform(seed, RANDOM_STREAM, draw, attempt) * size)) in seen:
            attempt += 1
        seen.add(index)
        yield index


@dataclass(frozen=True, slots=True)
class Rung:
    """One round of successive halving: *candidates* trials on the first *bars* bars."""

    candidates: int
    bars: int


def halving_rungs(
    candidates: int, bars: int, *, eta: int = ETA, min_bars: int = 1
) -> tuple[Rung, ...]:
    """Return the rounds from the shortest prefix to all *bars*, each keeping one in *eta*.

    The last round has at most *eta* candidates, or its prefix would be below *min_bars*.

    Source:
        Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter
        Optimization", AISTATS.
    """
    sizes = [candidates]
    while sizes[-1] > eta and bars // eta ** len(sizes) >= min_bars:
        sizes.append(math.ceil(sizes[-1] / eta))
    last = len(sizes) - 1
    return tuple(
        Rung(size, max(min(min_bars, bars), bars // eta ** (last - number)))
        for number, size in enumerate(sizes)
    )


def survivors(ranked: Sequence[int], keep: int) -> tuple[int, ...]:
    """Return the first *keep* of *ranked*, by index: the order in which they are tried again."""
    return tuple(sorted(ranked[:keep]))
