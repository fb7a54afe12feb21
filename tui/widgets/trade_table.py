"""The trades of a result: a table whose rows cannot be marked, so that - zooms here too."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from textual.binding import BindingType

from tui.actions import Scope, bindings_for
from tui.widgets.live_table import LiveTable

_LEFT_OUT: Final = frozenset({"list.mark", "list.mark_all", "list.unmark", "list.follow"})


class TradeTable(LiveTable[Any], inherit_bindings=False):
    """Trades in any order, linked to the chart."""

    BINDINGS: ClassVar[list[BindingType]] = [
        binding
        for binding in bindings_for(Scope.LIST)
        if getattr(binding, "id", None) not in _LEFT_OUT
    ]
