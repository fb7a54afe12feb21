"""Documents of every kind for the command line: what is wrong with them, what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.flow.errors import EngineError

SCHEMAS: Final = ("backtest", "optimization", "live_trading", "replay", "session")
"""Kinds of documents that have a JSON Schema; all but the last are named by their section."""


class DocumentError(EngineError):
    """A document cannot be used; one line for each mistake."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """What was found in a document: ``problems`` prevent its use, ``warnings`` do not."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_document(
    path: Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> DocumentCheck:
    """Return what is wrong with a document of any kind; one line for each mistake."""
    from engine.config.document import ConfigError

    given = tuple(overrides)
    try:
        match _kind(path):
            case "live_trading":
                from engine.config.live_file import read_live_file

                file = read_live_file(path, profile=profile, overrides=given)
                return DocumentCheck(warnings=file.warnings)
            case "replay":
                from engine.config.replay_file import read_replay_file

                read_replay_file(path, profile=profile, overrides=given)
            case "optimization":
                from engine.config.optimization_file import load_optimization_file

                load_optimization_file(path, profile=profile, overrides=given)
            case "session":
                from engine.config.session_plan import load_session_plan

                load_session_plan(path)
            case _:
                from engine.config.backtest_file import load_backtest_file

                load_backtest_file(path, profile=profile, overrides=given)
    except ConfigError as error:
        return DocumentCheck(problems=error.problems)
    return DocumentCheck()


def explain_document(
    path: Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> tuple[tuple[str, str, str], ...]:
    """Return (key, value, origin) of the effective configuration of a document.

    Raises:
        DocumentError: the document cannot be used.
    """
    from engine.config.document import ConfigError

    given = tuple(overrides)
    explain: dict[str, Callable[..., list[tuple[str, str, str]]]] = {
        "live_trading": _explain_live,
        "replay": _explain_replay,
        "optimization": _explain_optimization,
    }
    try:
        return tuple(explain.get(_kind(path), _explain_backtest)(path, profile, given))
    except ConfigError as error:
        raise DocumentError(error.message, cause=error) from error


def document_schema(kind: str = "backtest") -> dict[str, Any]:
    """Return the JSON Schema of a kind of document.

    Raises:
        DocumentError: there is no such kind.
    """
    match kind:
        case "backtest":
            from engine.config.backtest_file import json_schema

            return json_schema()
        case "optimization":
            from engine.optimization.config import OptimizationDocument

            return OptimizationDocument.model_json_schema(by_alias=True)
        case "live_trading":
            from engine.config.live_file import live_json_schema

            return live_json_schema()
        case "replay":
            from engine.config.replay_file import replay_json_schema

            return replay_json_schema()
        case "session":
            from engine.config.session import SessionConfig

            return SessionConfig.model_json_schema(by_alias=True)
        case _:
            raise DocumentError(f"kind {kind!r} is not known, allowed: {', '.join(SCHEMAS)}")


def _kind(path: Path) -> str:
    """Return the section that says what a document is; ``session`` for one that runs a session.

    Raises:
        ConfigError: it cannot be read.
    """
    from engine.config.document import load_document

    data = load_document(path).data
    for one in SCHEMAS[:-1]:
        if one in data:
            return one
    return "session" if {"session", "venues", "markets"} & set(data) else "backtest"


def _explain_live(
    path: Path, profile: str | None, overrides: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    from engine.config.explaining import explain_values
    from engine.config.live_file import SECTION, effective_live_config, read_live_file

    file = read_live_file(path, profile=profile, overrides=overrides)
    return explain_values(effective_live_config(file.config), file.layered, section=SECTION)


def _explain_replay(
    path: Path, profile: str | None, overrides: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    from engine.config.explaining import explain_values
    from engine.config.replay_file import SECTION, effective_replay_config, read_replay_file

    file = read_replay_file(path, profile=profile, overrides=overrides)
    return explain_values(effective_replay_config(file.config), file.layered, section=SECTION)


def _explain_optimization(
    path: Path, profile: str | None, overrides: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    from engine.config.document import load_document
    from engine.config.explaining import explain_values
    from engine.config.optimization_file import load_optimization_file
    from engine.config.overlays import layer

    file = load_optimization_file(path, profile=profile, overrides=overrides)
    document = load_document(path)
    layered = layer(document, section="optimization", profile=profile, overrides=overrides)
    values = file.config.model_dump(mode="json", by_alias=True)
    return explain_values(values, layered, section="optimization")


def _explain_backtest(
    path: Path, profile: str | None, overrides: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    from engine.config.backtest_file import explain, load_backtest_file

    return explain(load_backtest_file(path, profile=profile, overrides=overrides))
