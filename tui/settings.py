"""What the operator may choose about the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

DEFAULT_THEME: Final = "quarterdeck-dark"
TIME_FORMATS: Final = ("utc", "local", "relative")


def _no_keys() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the console.

    ``fps`` is how often a second the visible screen asks the engine, 0 only when told (tests).
    ``keymap`` maps action ids to keys, comma separated. ``read_only`` dims whatever acts.
    """

    theme: str = DEFAULT_THEME
    fps: int = 10
    time_format: str = "utc"
    read_only: bool = False
    keymap: Mapping[str, str] = field(default_factory=_no_keys)

    def __post_init__(self) -> None:
        if not 0 <= self.fps <= 30:
            msg = f"fps is {self.fps}; allowed are 0 to 30"
            raise ValueError(msg)
        if self.time_format not in TIME_FORMATS:
            msg = f"time_format is {self.time_format!r}; allowed are {', '.join(TIME_FORMATS)}"
            raise ValueError(msg)
