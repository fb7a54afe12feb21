"""The forms that run a backtest: fields, and the command that was meant."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.api.views import FormField

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail

ENGINES: Final = ("auto", "events", "compiled")
_MOST_PARAMETERS: Final = 6
_CHANGES_HELP: Final = "key=value pairs, such as seed=7 components.strategy.params.fast=20"


def new_fields(samples: Sequence[str]) -> tuple[FormField, ...]:
    """Return the form for a sample or a file."""
    return (
        FormField("sample", "Sample", "choice", required=False, choices=tuple(samples),
                  default=samples[0] if samples else "",
                  help="A backtest that came with quarterdeck, with its data."),
        FormField("path", "Or a file", "text", required=not samples,
                  help="Path of a backtest file of yours; it goes before the sample."),
        FormField("profile", "Profile", "text", required=False,
                  help="Name of a section under profiles: in the file."),
        *_common_fields(),
    )  # fmt: skip


def change_fields(detail: BacktestDetail) -> tuple[FormField, ...]:
    """Return the form for the same with changes: the strategy's parameters are fields."""
    parameters = _parameters(detail.config)
    return (
        *(
            FormField(key, label, "text", required=False, default=str(value), group=group,
                      help=f"{key}; it was {value}.")
            for key, label, value, group in parameters[:_MOST_PARAMETERS]
        ),
        *_common_fields(group="Run" if parameters else ""),
    )  # fmt: skip


def _common_fields(group: str = "") -> tuple[FormField, ...]:
    return (
        FormField("overrides", "Changes", "text", required=False, help=_CHANGES_HELP, group=group),
        FormField("engine", "Engine", "choice", required=False, choices=ENGINES, group=group,
                  help="auto takes the compiled path where the strategy allows; same results."),
        FormField("name", "Name", "text", required=False, group=group,
                  help="What the list calls it; empty takes the file's name."),
    )  # fmt: skip


def _parameters(config: Mapping[str, Any]) -> list[tuple[str, str, object, str]]:
    """Return (key, label, value, group) of what is changed most often."""
    found: list[tuple[str, str, object, str]] = []
    components = config.get("components") or {}
    for part in ("strategy", "portfolio"):
        seat = components.get(part)
        if not isinstance(seat, Mapping):
            continue
        params = seat.get("params") or {}
        wanted = params if part == "strategy" else {"initial_cash": params.get("initial_cash")}
        found += [
            (f"components.{part}.params.{key}", key.replace("_", " "), value,
             str(seat.get("class") or part))
            for key, value in wanted.items()
            if value is not None and not isinstance(value, Mapping | list | tuple)
        ]  # fmt: skip
    return found


def split_changes(text: str) -> tuple[tuple[str, ...], str]:
    """Return the ``key=value`` pairs of *text*, and what is wrong with it."""
    try:
        parts = tuple(shlex.split(text))
    except ValueError as error:
        return (), f"{error}: close the quote"
    for part in parts:
        if "=" not in part or part.startswith("="):
            return (), f"{part!r} is no key=value, such as seed=7"
    return parts, ""


def command_values(
    typed: Mapping[str, str],
    *,
    samples: Mapping[str, str],
    detail: BacktestDetail | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of a ``RunBacktest`` as *typed*, and errors by form field.

    Args:
        typed: what stands in the form.
        samples: path by name.
        detail: the backtest that is run again, or None.
    """
    changes, problem = split_changes(typed.get("overrides", ""))
    if problem:
        return {}, {"overrides": problem}
    values: dict[str, Any] = {
        "name": typed.get("name", "").strip(),
        "backtest_engine": typed.get("engine", "auto") or "auto",
    }
    if detail is None:
        path = typed.get("path", "").strip() or samples.get(typed.get("sample", ""), "")
        if not path:
            return {}, {"path": "Name a backtest file."}
        values |= {"path": path, "profile": typed.get("profile", "").strip() or None}
    else:
        defaults = {item.name: item.default for item in change_fields(detail)}
        fields = tuple(
            f"{key}={typed[key].strip()}"
            for key, default in defaults.items()
            if "." in key and typed.get(key, "").strip() not in ("", default)
        )
        changes = (*fields, *changes)
        values |= {"config": dict(detail.config), "base_dir": detail.base_dir}
        if not values["name"]:
            values["name"] = changed_name(detail.row.name, changes)
    return values | {"overrides": changes}, {}


def changed_name(name: str, changes: Sequence[str]) -> str:
    """Return the name of a changed run: what was changed stands behind it, once."""
    plain = name.split(" ", 1)[0]
    short = " ".join(change.rsplit(".", 1)[-1] for change in changes)
    return f"{plain} {short}".strip()
