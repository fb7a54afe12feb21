"""The palette: every action of the registry by name, with its key, so that it teaches the keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.actions import ACTIONS, Action, all_key_labels


class ActionProvider(Provider):
    """Actions and command lines, searched fuzzily."""

    async def discover(self) -> Hits:
        """List everything that can be done here."""
        for action in self._possible():
            yield DiscoveryHit(self._title(action), self._runner(action), help=self._help(action))

    async def search(self, query: str) -> Hits:
        """List what matches *query*."""
        matcher = self.matcher(query)
        for action in self._possible():
            title = self._title(action)
            score = matcher.match(title)
            if score > 0:
                yield Hit(
                    score, matcher.highlight(title), self._runner(action), help=self._help(action)
                )

    def _possible(self) -> list[Action]:
        """Return the actions that the screen and its focus can carry out."""
        active = {binding.binding.id for binding in self.screen.active_bindings.values()}
        return [action for action in ACTIONS if action.id in active]

    def _title(self, action: Action) -> str:
        return f"{action.description}"

    def _help(self, action: Action) -> str:
        return f"{all_key_labels(self._keys(action))}   {action.id}"

    def _keys(self, action: Action) -> str:
        return self.app._keymap.get(action.id, action.keys)  # noqa: SLF001 (no public getter)

    def _runner(self, action: Action) -> Callable[[], None]:
        key = self._keys(action).split(",")[0]
        return partial(self.app.simulate_key, key)
