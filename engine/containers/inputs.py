"""Inputs of a session: all that its state machine ever sees, with their journal form.

The journal form is text: ``(ts_ns, kind, payload)``. Decoding an encoded input gives an equal one,
so that a recorded journal replays to the same state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine import flow
from engine.model.funding import FundingRate
from engine.model.instruments import ConnectorPair
from engine.model.quotes import BarPoint, QuoteTick


@dataclass(frozen=True, slots=True)
class StartInput:
    """The session begins; ``continues`` names the interrupted session that it takes up, if any."""

    ts_ns: int
    continues: str = ""


@dataclass(frozen=True, slots=True)
class TimerInput:
    """The clock reached a whole interval."""

    ts_ns: int


@dataclass(frozen=True, slots=True)
class ActionInput:
    """Somebody outside the session asks for an executor action.

    ``verb`` is create, stop, update, store or give_up, or stop_controller or start_controller;
    ``arguments`` are JSON values as validated at the door. ``request_id`` ties the result to the
    command that asked.
    """

    ts_ns: int
    request_id: str
    actor: str
    verb: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StopInput:
    """The session is to end: flatten what is open, or keep it."""

    ts_ns: int
    keep_positions: bool
    actor: str


@dataclass(frozen=True, slots=True)
class ForceStopInput:
    """What has not ended since the stop is ended now, as it stands."""

    ts_ns: int


SessionInput: TypeAlias = (
    QuoteTick | FundingRate | StartInput | TimerInput | ActionInput | StopInput | ForceStopInput
)

QUOTE: Final = "quote"
FUNDING: Final = "funding"
START: Final = "start"
TIMER: Final = "timer"
ACTION: Final = "action"
STOP: Final = "stop"
FORCE_STOP: Final = "force_stop"

STOP_CONTROLLER: Final = "stop_controller"
"""Verb of an action: a controller proposes nothing any more, its executors stop."""
START_CONTROLLER: Final = "start_controller"
"""Verb of an action: a stopped controller, or one that was paused, is asked again."""

GIVE_UP: Final = "give_up"
"""Verb of an action: an executor ends as FAILED, what it holds goes to the position store."""


class JournalFormatError(flow.ValidationError):
    """A journal entry cannot be read."""


def encode(item: SessionInput) -> tuple[int, str, str]:
    """Return (ts_ns, kind, payload) of *item*."""
    match item:
        case QuoteTick():
            market = item.market
            return (
                item.ts_ns,
                QUOTE,
                (
                    f"{market.connector_name} {market.trading_pair} {item.bid_ticks} "
                    f"{item.ask_ticks} {item.bid_lots} {item.ask_lots} {item.source_ns}"
                    + (f" {item.bar_point.value}" if item.bar_point else "")
                ),
            )
        case FundingRate():
            market = item.market
            text = f"{market.connector_name} {market.trading_pair} {item.rate_ppb}"
            return item.ts_ns, FUNDING, f"{text} {item.due_ns}" if item.due_ns else text
        case StartInput():
            return item.ts_ns, START, item.continues
        case TimerInput():
            return item.ts_ns, TIMER, ""
        case ActionInput():
            return (
                item.ts_ns,
                ACTION,
                _json(
                    {
                        "request_id": item.request_id,
                        "actor": item.actor,
                        "verb": item.verb,
                        "arguments": item.arguments,
                    }
                ),
            )
        case StopInput():
            return (
                item.ts_ns,
                STOP,
                _json({"keep_positions": item.keep_positions, "actor": item.actor}),
            )
        case ForceStopInput():
            return item.ts_ns, FORCE_STOP, ""


def decode(ts_ns: int, kind: str, payload: str) -> SessionInput:
    """Return the input of a journal entry.

    Raises:
        JournalFormatError: the kind is unknown or the payload does not fit it.
    """
    try:
        match kind:
            case "quote":
                connector, pair, *numbers = payload.split(" ")
                bid, ask, bid_lots, ask_lots, source_ns, *points = map(int, numbers)
                (point,) = points or (0,)
                market = ConnectorPair(connector, pair)
                return QuoteTick(
                    market, ts_ns, bid, ask, bid_lots, ask_lots, source_ns, BarPoint(point)
                )
            case "funding":
                connector, pair, *numbers = payload.split(" ")
                rate, *late = map(int, numbers)
                (due_ns,) = late or (0,)
                return FundingRate(ConnectorPair(connector, pair), ts_ns, rate, due_ns)
            case "start":
                return StartInput(ts_ns, payload)
            case "timer":
                return TimerInput(ts_ns)
            case "action":
                return ActionInput(ts_ns, **json.loads(payload))
            case "stop":
                return StopInput(ts_ns, **json.loads(payload))
            case "force_stop":
                return ForceStopInput(ts_ns)
            case _:
                pass
    except (ValueError, TypeError) as error:
        raise JournalFormatError(
            f"journal entry at {ts_ns} of kind {kind!r} cannot be read: {error}", cause=error
        ) from error
    raise JournalFormatError(f"journal entry at {ts_ns} has the unknown kind {kind!r}")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
