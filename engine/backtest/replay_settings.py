"""Pace and breakpoints of a replay (REPLAY-1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.containers.bus import BusKind

MAX: Final = "max"
STEP: Final = "step"
_TIMES: Final = re.compile(r"(?P<times>\d+(\.\d+)?)x")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a replay goes: ``times`` recorded seconds per second, None: as fast as it can."""

    times: Decimal | None = None
    is_step: bool = False

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Return the pace that *text* names: ``max``, ``step``, ``1x``, ``60x``, ``0.5x``.

        Raises:
            ValueError: it names none.
        """
        word = text.strip().lower()
        if word == MAX:
            return cls()
        if word == STEP:
            return cls(is_step=True)
        match = _TIMES.fullmatch(word)
        if match is None or not Decimal(match["times"]):
            raise ValueError(f"{text!r} is no pace, allowed: max, step, 1x or another number and x")
        return cls(Decimal(match["times"]))

    def seconds(self, passed_ns: int) -> float:
        """Return how long to wait while *passed_ns* pass in the recording."""
        return 0.0 if self.times is None else passed_ns / 1e9 / float(self.times)


class Breakpoint(BaseModel):
    """Stops a replay after a bar with an event of this kind, symbol and order; None is any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str | None = Field(default=None, description="kind of event, such as FILL")
    symbol: str | None = Field(default=None, description="symbol of the event")
    order: int | None = Field(default=None, ge=0, description="number of the order")

    @classmethod
    def parse(cls, text: str) -> Breakpoint:
        """Return the breakpoint in *text*: ``FILL``, ``FILL,symbol=SPX``, ``order=3``.

        Raises:
            ValueError: a part is not known.
        """
        values: dict[str, Any] = {}
        for part in filter(None, (one.strip() for one in text.split(","))):
            key, separator, value = part.partition("=")
            if not separator:
                key, value = "kind", part
            if key not in cls.model_fields or not value:
                raise ValueError(
                    f"{text!r} is no breakpoint, write kind=FILL,symbol=SPX,order=3 or a part of it"
                )
            values[key] = value
        if not values:
            raise ValueError("an empty breakpoint stops at nothing, write FILL or order=3")
        found = cls.model_validate(values)
        found.check()
        return found

    def check(self) -> None:
        """Look at the kind.

        Raises:
            ValueError: there is no such kind of event.
        """
        kinds = [one.value for one in BusKind]
        if self.kind is not None and self.kind.upper() not in kinds:
            raise ValueError(f"kind {self.kind!r} is not known, allowed: {', '.join(kinds)}")

    def hits(self, event: Mapping[str, Any]) -> bool:
        """Whether *event* is one to stop at."""
        payload = event.get("payload")
        order = payload.get("order") if isinstance(payload, Mapping) else None
        return (
            (self.kind is None or event["kind"] == self.kind.upper())
            and (self.symbol is None or event["symbol"] == self.symbol)
            and (self.order is None or order == self.order)
        )


def _pace(value: object) -> object:
    Pace.parse(str(value))
    return str(value).strip().lower()


def _breakpoint(value: object) -> object:
    if isinstance(value, str):
        return Breakpoint.parse(value)
    found = Breakpoint.model_validate(value)
    found.check()
    return found


PaceText: TypeAlias = Annotated[str, BeforeValidator(_pace)]
BreakpointField: TypeAlias = Annotated[Breakpoint, BeforeValidator(_breakpoint)]


class ReplayConfig(BaseModel):
    """Section ``replay`` of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["REPLAY"] = Field(default="REPLAY", description="a recorded run is played again")
    container_type: Literal["replay"] = "replay"
    isolation_level: Literal["full"] = Field(
        default="full", description="the replayed run has a container of its own"
    )
    log: str = Field(description="folder of a result, or a file of events, from this file's folder")
    pace: PaceText = Field(default=MAX, description="max, step, 1x or another number and x")
    verify: bool = Field(
        default=True, description="stop at the first event that differs from the recording"
    )
    base_dir: str | None = Field(
        default=None, description="folder that the recorded data paths start from"
    )
    breakpoints: tuple[BreakpointField, ...] = Field(
        default=(), description="where to stop: kind, symbol, order"
    )
    seek: int = Field(default=0, ge=0, description="bar to start at")
    checkpoints: int = Field(
        default=16, ge=0, le=1000, description="copies of the run kept for going back"
    )


class ReplayDocument(BaseModel):
    """A whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    replay: ReplayConfig
    profiles: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="overlays by name, shaped like replay"
    )
