"""Live updates that replace fields of a running executor's configuration."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.executors.config import ExecutorConfigBase
from engine.executors.validation import describe_errors

_Config = TypeVar("_Config", bound=ExecutorConfigBase)


class ConfigUpdate(BaseModel):
    """Change of a running executor: its fields are those of the configuration that may change.

    Only the fields that are given change. It is the base of the update types of own executors,
    too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def validate(self) -> bool:  # type: ignore[override]  # pydantic's own is a deprecated class method
        """Whether the update changes anything."""
        return bool(self.model_fields_set)

    def applied_to(self, config: _Config) -> _Config:
        """Return *config* with the given fields replaced.

        Raises:
            ValueError: the result is no valid configuration; the message names field and value.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return revalidated(config, config.model_dump() | given)


def revalidated(config: _Config, fields: dict[str, object]) -> _Config:
    """Return a configuration of the class of *config* with other *fields*.

    Raises:
        ValueError: they are no valid configuration; the message names field and value.
    """
    try:
        return type(config).model_validate(fields)
    except ValidationError as error:
        raise ValueError("; ".join(map(str, describe_errors(error)))) from error
