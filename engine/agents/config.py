"""An agent in a session file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

IMPORT_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class AgentSection(BaseModel):
    """One agent: a shipped ``type``, or an own ``class`` by its import path ``module:Class``.

    Naming a class is what allows it: nothing else is ever imported. The module is looked for beside
    the session file first, then where Python finds modules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="unique name: letters, digits, - and _, at most 40",
    )
    type: str | None = Field(default=None, description="a shipped agent, for example http_prices")
    class_path: str | None = Field(
        default=None,
        alias="class",
        pattern=IMPORT_PATH,
        description="an own agent, for example my_agents:Watcher",
    )
    interval: float | None = Field(
        default=None, gt=0, le=86_400, description="seconds between cycles before the factors"
    )
    priority: Literal["critical", "high", "normal", "low", "idle"] | None = Field(
        default=None, description="how urgent its cycles are; normal if nothing is said"
    )
    cycle_timeout: float | None = Field(
        default=None, gt=0, le=3_600, description="seconds that a cycle may take"
    )
    repeat: bool = Field(default=True, description="whether a cycle is followed by another")
    enabled: bool = Field(default=True, description="whether it starts with the session")
    params: dict[str, Any] = Field(default_factory=dict, description="the agent's own parameters")

    @model_validator(mode="after")
    def _one_of_type_and_class(self) -> AgentSection:
        if (self.type is None) == (self.class_path is None):
            raise ValueError("give either type (a shipped agent) or class (module:Class)")
        return self

    @property
    def agent_config(self) -> dict[str, Any]:
        """Return what the agent is configured with: only what the file says."""
        given = {
            "interval": self.interval,
            "priority": self.priority,
            "cycle_timeout": self.cycle_timeout,
        }
        said = {name: value for name, value in given.items() if value is not None}
        return {**said, "repeat": self.repeat, "params": _plain(self.params)}


def _plain(value: Any) -> Any:  # noqa: ANN401 (YAML in, JSON out)
    """Return *value* with decimals as text: JSON takes it and loses nothing."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value
