"""Whatever the help of a screen lists can be done on that screen."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from textual.screen import Screen

import tui.modals
import tui.screens
from tui.actions import Action, Scope, in_scope
from tui.app import ConsoleApp
from tui.widgets.choice import Choice
from tui.widgets.form import Form
from tui.widgets.heat_panel import HeatPanel
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable
from tui.widgets.prompt_bar import PromptInput
from tui.widgets.result_chart import ResultChart

OWNERS: dict[Scope, type] = {
    Scope.EVERYWHERE: ConsoleApp,
    Scope.LIST: LiveTable,
    Scope.TEXT: LineView,
    Scope.CHART: ResultChart,
    Scope.HEATMAP: HeatPanel,
    Scope.FORM: Form,
    Scope.CHOICE: Choice,
    Scope.PROMPT: PromptInput,
}
"""Who has the actions of a scope where the screen itself has not."""


def screens() -> Iterator[type[Screen[object]]]:
    for package in (tui.screens, tui.modals):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for kind in vars(importlib.import_module(module.name)).values():
                if (
                    isinstance(kind, type)
                    and issubclass(kind, Screen)
                    and kind.__module__ == module.name
                    and "scopes" in dir(kind)
                ):
                    yield kind


SCREENS = sorted(set(screens()), key=lambda kind: kind.__name__)


def scopes_of(kind: type) -> tuple[Scope, ...]:
    """Return the scopes that a screen's help lists; where they change, those that stay."""
    scopes = getattr(kind, "scopes", ())
    return scopes if isinstance(scopes, tuple) else (Scope.STUDY, Scope.STUDIES, Scope.SCREEN)


def bound(kind: type) -> set[str]:
    """Return the ids of the actions that have a key on *kind*."""
    merged = getattr(kind, "_merged_bindings", None)
    found = () if merged is None else merged.key_to_bindings.values()
    return {binding.id or "" for bindings in found for binding in bindings}


def can(kind: type, action: Action) -> bool:
    name = action.handler.partition("(")[0].removeprefix("app.")
    owner = OWNERS.get(action.scope, kind)
    has_key = action.id in bound(kind) | bound(owner)
    return has_key and any(hasattr(one, f"action_{name}") for one in (kind, owner, ConsoleApp))


@pytest.mark.parametrize("kind", SCREENS, ids=lambda kind: kind.__name__)
def test_every_key_in_the_help_of_a_screen_does_something(kind: type) -> None:
    listed = [one for one in in_scope(*scopes_of(kind)) if one.handler]
    assert listed
    assert [one.id for one in listed if not can(kind, one)] == []


def test_the_screens_were_found() -> None:
    assert len(SCREENS) > 20
