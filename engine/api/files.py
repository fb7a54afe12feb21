"""Questions about files that need no running engine."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.model.clock import to_iso


def check_session_file(path: Path) -> tuple[str, ...]:
    """Return what is wrong with a session file, one line each; empty if it can be run."""
    from engine.config.document import ConfigError
    from engine.config.session_plan import load_session_plan

    try:
        load_session_plan(path)
    except ConfigError as error:
        return error.problems
    return ()


def simulate_file(path: Path) -> dict[str, Any]:
    """Play the scenario file *path* and return its report as JSON values.

    Raises:
        EngineError: the file is wrong, or a step cannot be carried out.
    """
    from engine.config.scenario_file import load_scenario
    from engine.simulation.simulate import simulate

    return simulate(load_scenario(path)).to_dict()


def list_sessions(data_dir: Path) -> tuple[dict[str, Any], ...]:
    """Return the sessions of *data_dir*, newest first, as JSON values; money as decimal text.

    Raises:
        StoreError: the database is damaged, foreign, or of a newer version.
    """
    from engine.store.session_list import list_sessions as read_sessions

    return tuple(_plain(asdict(record)) for record in read_sessions(data_dir))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    del row["config_text"]
    for name, value in row.items():
        if isinstance(value, Decimal):
            row[name] = f"{value:f}"
        elif name.endswith("_ns") and value is not None:
            row[name] = to_iso(value)
    return {
        name.removesuffix("_ns") + ("_at" if name.endswith("_ns") else ""): value
        for name, value in row.items()
    }
