"""What an executor type reports beyond the common fields."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from engine.executors.plain import JsonValue, to_plain
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class CustomInfo:
    """Base of all custom infos, and the fallback when a type registers none.

    ``is_price_free`` says that the values change only with the executor's own state, so that a
    report need not make them again at every price.
    """

    is_price_free: ClassVar[bool] = False

    side: TradeType | None

    @classmethod
    def from_executor(cls, executor: Any) -> Self:  # noqa: ANN401 (each type reads its own executor)
        """Build the info of *executor*: each field from its attribute of the same name.

        What the executor has not is taken from its configuration.

        Raises:
            AttributeError: neither has a field of the info.
        """
        config = getattr(executor, "config", None)
        names = (item.name for item in fields(cls) if item.init and item.name != "side")
        found = {
            name: getattr(executor if hasattr(executor, name) else config, name) for name in names
        }
        return cls(side=getattr(executor, "side", None), **found)

    def to_plain(self) -> dict[str, JsonValue]:
        """Return the fields as plain JSON, Decimals as text."""
        plain = to_plain(self)
        if not isinstance(plain, dict):
            raise TypeError(f"{type(self).__name__} is not a mapping in plain form")
        return plain
