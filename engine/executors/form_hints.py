"""How a configuration field is asked for: hints that forms read from ``json_schema_extra``."""

from __future__ import annotations

from typing import Final

from pydantic.config import JsonDict

HIDDEN: Final[JsonDict] = {"hidden": True}
"""The engine fills it in, or there is no choice."""

PERCENT: Final[JsonDict] = {"kind": "percent"}
"""A fraction: ``2%`` or ``0.02``."""

DURATION: Final[JsonDict] = {"kind": "duration"}
"""Whole seconds: ``90s`` or ``4h``."""

IN_BASE: Final[JsonDict] = {"kind": "number", "unit": "base"}
IN_QUOTE: Final[JsonDict] = {"kind": "number", "unit": "quote"}
