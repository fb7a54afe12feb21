"""The forms of studies: running one, and choosing what a heat map shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.api.views import FormCheck, FormField
from tui.state.backtest_form import split_changes
from tui.state.heat_map import RULES, Axes, map_metrics

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail

BACKENDS: Final = ("as in the file", "serial", "thread", "process", "kernel", "distributed")
NOTHING: Final = "none"
ALL: Final = "all"
_SLICE: Final = "only "
_MOST_WORKERS: Final = 1_024


def study_fields(samples: Sequence[str]) -> tuple[FormField, ...]:
    """Return the form for a sample or a file."""
    return (
        FormField("sample", "Sample", "choice", required=False, choices=tuple(samples),
                  default=samples[0] if samples else "",
                  help="A study that came with quarterdeck, with its data."),
        FormField("path", "Or a file", "text", required=not samples,
                  help="Path of an optimisation file of yours; it goes before the sample."),
        FormField("backend", "Backend", "choice", required=False, choices=BACKENDS,
                  default=BACKENDS[0], help="Where trials run; the table is always the same."),
        FormField("workers", "Workers", "number", required=False,
                  help="Trials at the same time; empty takes all cores."),
        FormField("cluster", "Cluster", "text", required=False,
                  help="Scheduler of a distributed study: tcp://HOST:PORT"),
        FormField("overrides", "Changes", "text", required=False,
                  help="key=value, with spaces between: optimization.out_of_sample=0.2"),
        FormField("name", "Name", "text", required=False,
                  help="What the list calls it; empty takes the file's name."),
    )  # fmt: skip


def study_values(
    typed: Mapping[str, str], samples: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of a ``RunOptimization`` as *typed*, and errors by form field."""
    changes, problem = split_changes(typed.get("overrides", ""))
    if problem:
        return {}, {"overrides": problem}
    path = typed.get("path", "").strip() or samples.get(typed.get("sample", ""), "")
    if not path:
        return {}, {"path": "Name an optimisation file."}
    workers = typed.get("workers", "").strip()
    if workers and not (workers.isdecimal() and 1 <= int(workers) <= _MOST_WORKERS):
        return {}, {"workers": f"{workers!r} is not a number from 1 to {_MOST_WORKERS:,}."}
    backend = typed.get("backend", BACKENDS[0])
    values: dict[str, Any] = {
        "path": path,
        "name": typed.get("name", "").strip(),
        "backend": None if backend in ("", BACKENDS[0]) else backend,
        "workers": int(workers) if workers else None,
        "cluster": typed.get("cluster", "").strip() or None,
        "overrides": changes,
    }
    return values, {}


def axes_fields(detail: StudyDetail, axes: Axes) -> tuple[FormField, ...]:
    """Return the form that chooses what a map shows."""
    names = tuple(detail.parameters)
    rules = len(names) > 2
    return (
        FormField("x", "Across", "choice", required=False, choices=names, default=axes.x,
                  help="The parameter from left to right."),
        FormField("y", "Down", "choice", required=False, choices=(*names, NOTHING),
                  default=axes.y or NOTHING, help="The parameter from top to bottom, or none."),
        FormField("metric", "Metric", "choice", required=False, choices=map_metrics(detail),
                  default=axes.metric, help="What the colour and the number of a cell are."),
        *((FormField("rule", "Each cell", "choice", required=False, choices=RULES,
                     default=axes.rule,
                     help="The best of the trials that differ in other parameters, or their mean."),
           ) if rules else ()),
        *(FormField(f"{_SLICE}{name}", f"Only {name}", "choice", required=False,
                    choices=(ALL, *map(str, values)), default=dict(axes.fixed).get(name, ALL),
                    help=f"Only trials with this {name}; it says nothing while it is an axis.")
          for name, values in detail.parameters.items() if rules),
    )  # fmt: skip


def check_axes(typed: Mapping[str, str]) -> FormCheck:
    """Return what was chosen; the two parameters must differ."""
    if typed.get("x") == typed.get("y"):
        text = f"{typed.get('x')} is across already: choose another, or {NOTHING}."
        return FormCheck(errors={"y": text})
    return FormCheck()


def chosen_axes(typed: Mapping[str, str]) -> Axes:
    """Return the axes of a filled form."""
    down = typed.get("y", NOTHING)
    return Axes(
        typed.get("x", ""),
        "" if down == NOTHING else down,
        typed.get("metric", ""),
        typed.get("rule", RULES[0]),
        tuple(
            (name.removeprefix(_SLICE), value)
            for name, value in typed.items()
            if name.startswith(_SLICE) and value != ALL
        ),
    )
