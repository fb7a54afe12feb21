"""A trial's strategy as a session file on paper, for the operator to run and change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.api.optimization_views import StudyDetail, TrialRow
from engine.flow.errors import EngineError, NotFoundError, ValidationError

FOLDER: Final = "sessions"
"""Where session files are written inside of the data directory."""

RUN_HINT: Final = "quarterdeck run "
"""What stands before the path of a written session in the answer to the command."""

_VENUE: Final = "paper_perpetual"
_HEAD: Final = """\
# {strategy} as trial {index} of study {study} found it: {parameters}
# Paper money on a seeded synthetic market; nothing leaves this machine. It is a rehearsal of the
# strategy's mechanics: synthetic prices say nothing about what it would earn.
# quarterdeck check {path}
# quarterdeck run {path}
"""


def trial_config(detail: StudyDetail, trial: TrialRow) -> dict[str, Any]:
    """Return the study's backtest with the parameters of *trial* in its strategy.

    Raises:
        ValidationError: the backtest has not exactly one strategy.
    """
    components = dict(detail.backtest.get("components") or {})
    seats = [one for one in (components.get("strategy"), *components.get("strategies", ())) if one]
    if len(seats) != 1:
        raise ValidationError(
            f"{detail.row.id}: its backtest has {len(seats)} strategies; a trial varies one"
        )
    seat = dict(seats[0])
    seat["params"] = {**(seat.get("params") or {}), **trial.parameters}
    return dict(detail.backtest) | {"components": components | {"strategy": seat, "strategies": []}}


def paper_session(detail: StudyDetail, trial: TrialRow) -> dict[str, Any]:
    """Return a session file as values: the trial's strategy on a synthetic market.

    Raises:
        ValidationError: the strategy is none that ships, so a session could not name it.
    """
    from engine.strategies.catalogue import strategy_types

    components = trial_config(detail, trial)["components"]
    seat: Mapping[str, Any] = components["strategy"]
    kind, known = str(seat.get("class")), strategy_types()
    if kind not in known:
        raise ValidationError(
            f"strategy {kind!r} cannot run on paper; a session knows {', '.join(known)}"
        )
    account = (components.get("portfolio") or {}).get("params") or {}
    currency = str(account.get("currency") or "USD")
    symbols = [one for one in detail.backtest.get("data") or () if isinstance(one, Mapping)]
    symbol = "".join(filter(str.isalnum, str(symbols[0].get("symbol")))) if symbols else ""
    pair = f"{symbol.upper() or 'TEST'}-{currency}"
    cash = account.get("initial_cash") or "100000"
    return {
        "version": 1,
        "session": {
            "name": f"{detail.row.id}-{trial.index}"[:40],
            "mode": "paper",
            "seed": int(detail.backtest.get("seed") or 42),
            "speed": 60,
            "bar": "1m",
        },
        "account": {"currency": currency, "initial_balance": str(cash)},
        "venues": [{"name": _VENUE, "kind": "perpetual"}],
        "markets": [
            {
                "venue": _VENUE,
                "pair": pair,
                "tick": "0.01",
                "lot": "0.001",
                "source": {"kind": "synthetic", "start_price": "1000"},
            }
        ],
        "strategies": [
            {
                "id": kind,
                "kind": kind,
                "connector_name": _VENUE,
                "trading_pair": pair,
                "params": dict(seat["params"]),
            }
        ],
    }


def write_paper_session(detail: StudyDetail, index: int, data_dir: Path) -> Path:
    """Write the session file of trial *index* and return its path; reads and writes files.

    Raises:
        NotFoundError: the study has no such trial.
        ValidationError: its strategy cannot run in a session.
        EngineError: the file cannot be written.
    """
    import yaml

    trial = next((one for one in detail.trials if one.index == index), None)
    if trial is None:
        raise NotFoundError(f"study {detail.row.id} has no trial {index} yet")
    values = paper_session(detail, trial)
    path = data_dir / FOLDER / f"{values['session']['name']}.yaml"
    head = _HEAD.format(
        strategy=values["strategies"][0]["kind"],
        index=index,
        study=detail.row.id,
        parameters=" ".join(f"{name}={value}" for name, value in trial.parameters.items()),
        path=path,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise EngineError(f"{path}: cannot be written ({error.strerror})", cause=error) from error
    return path
