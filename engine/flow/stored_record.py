"""Execution records read back from the plain data that `Execution.to_dict` wrote."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from engine.flow.errors import EngineError, ValidationError
from engine.flow.execution import Execution
from engine.flow.status import EventStatus
from engine.flow.unset import Unset, UnsetType


class StoredError(EngineError):
    """An error that was read from a snapshot; `to_dict()` is what had been written."""

    def __init__(self, stored: Mapping[str, object]) -> None:
        super().__init__(str(stored.get("message", "")))
        self.retryable = stored.get("retryable") is not False
        self._stored = dict(stored)

    def to_dict(self) -> dict[str, object]:
        """Return the form in which the error had been written."""
        return dict(self._stored)


def record_from(data: object) -> Execution:
    """Return the record that `Execution.to_dict` described; ValidationError if it is corrupt."""
    if not isinstance(data, Mapping):
        raise ValidationError("an event in this snapshot has no execution record")
    try:
        status = EventStatus(data["status"])
        duration, response, error, retryable = (
            data[name] for name in ("duration", "response", "error", "retryable")
        )
    except (KeyError, ValueError) as exc:
        raise ValidationError(f"an execution record is corrupt: {exc}", cause=exc) from exc
    is_complete = status is EventStatus.COMPLETED
    return Execution(
        status=status,
        duration=_duration_from(duration),
        response=Unset if response is None and not is_complete else response,
        error=_error_from(error, None if is_complete else Unset),
        retryable=_retryable_from(retryable),
    )


def _duration_from(duration: object) -> float | UnsetType:
    if duration is None:
        return Unset
    if (
        isinstance(duration, (int, float))
        and not isinstance(duration, bool)
        and 0 <= duration <= sys.float_info.max
    ):
        return float(duration)
    raise _corrupt("duration", duration, "a finite number of seconds, or null")


def _retryable_from(retryable: object) -> bool | UnsetType:
    if retryable is None:
        return Unset
    if isinstance(retryable, bool):
        return retryable
    raise _corrupt("retryable", retryable, "true, false or null")


def _error_from(error: object, absent: UnsetType | None) -> BaseException | UnsetType | None:
    if error is None:
        return absent
    pending = [error]
    while pending:  # a group is as deep as the writer made it
        one = pending.pop()
        if not (
            isinstance(one, Mapping)
            and isinstance(one.get("error"), str)
            and isinstance(one.get("message"), str)
            and isinstance(one.get("retryable", False), bool)
            and isinstance(one.get("exceptions", []), list)
        ):
            raise _corrupt("error", one, "a mapping with the texts error and message")
        pending.extend(one.get("exceptions", []))
    assert isinstance(error, Mapping)  # noqa: S101 (narrows: it was checked first)
    return StoredError(error)


def _corrupt(field: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"an execution record is corrupt: its {field} is {value!r}; it must be {wanted}"
    )
