"""What identifies a run before it happens (DET-2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from engine.backtest.config import BacktestConfig

ENGINE_SEMANTICS: Final = "1.0.0"
"""Changes when the same configuration and data may give another result."""

_NOT_HASHED: Final = frozenset(
    {"name", "engine", "timeout_s", "thread_model", "mode", "record_events", "check_lookahead"}
)
"""Keys about display, log and workers; none of them changes a result."""


_AS_THEY_ARE: Final = (str, int, bool, float, type(None))


def plain(value: Any) -> Any:  # noqa: ANN401 (any configuration value)
    """Return *value* as JSON values; decimals as their shortest text, so that 0.10 is 0.1."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        return {str(key): plain(one) for key, one in value.items()}
    if kind is tuple or kind is list:
        return [plain(one) for one in value]
    match value:
        case Enum():
            return value.value
        case Decimal():
            text = f"{value.normalize():f}"
            return "0" if text == "-0" else text
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case set() | frozenset():
            return sorted(plain(one) for one in value)
        case _:
            return value


def effective_config(config: BacktestConfig) -> dict[str, Any]:
    """Return the whole configuration with its defaults as JSON values; part of each result."""
    values: dict[str, Any] = plain(config.model_dump(by_alias=True))
    return values


def canonical_json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """Return the JSON values *value* as JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def config_hash(config: BacktestConfig) -> str:
    """Return the SHA-256 of what in *config* can change a result."""
    return effective_hash(effective_config(config))


def effective_hash(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what in an effective configuration can change a result."""
    hashed = {key: value for key, value in values.items() if key not in _NOT_HASHED}
    # Where a file lies is no part of the identity; what is in it is the data hash.
    hashed["data"] = [
        {key: value for key, value in entry.items() if key != "path"} for entry in values["data"]
    ]
    return hashlib.sha256(canonical_json(hashed).encode()).hexdigest()


def run_hash(values: Mapping[str, Any], *, data_hash: str, source_hash: str) -> str:
    """Return the SHA-256 of effective configuration, data, strategy source and engine version."""
    identity = {
        "config": effective_hash(values),
        "data": data_hash,
        "strategy": source_hash,
        "engine": ENGINE_SEMANTICS,
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()
