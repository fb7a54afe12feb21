"""The values of an executor as the beginning of a form for another one like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.api.views import ExecutorDetail

TYPE: Final = "type"
"""The key under which the executor type stands; it is chosen above the form."""
_NOTHING: Final = frozenset({"", "off", "none", "--"})


def config_prefill(detail: ExecutorDetail) -> dict[str, str]:
    """Return the type and the values that are not defaults, by dotted field name."""
    values = {
        field.name: "" if field.value in _NOTHING else field.value
        for field in detail.config
        if not field.is_default
    }
    return values | {TYPE: detail.row.type}
