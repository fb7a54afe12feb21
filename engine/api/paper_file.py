"""A trial's strategy as a session file on paper, for the operator to run and change."""

from __future__ import annotations

import re
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
        ValidationError: a session cannot run the strategy; the message says why.
    """
    components = trial_config(detail, trial)["components"]
    seat: Mapping[str, Any] = components["strategy"]
    account = (components.get("portfolio") or {}).get("params") or {}
    currency = str(account.get("currency") or "USD")
    symbols = [one for one in detail.backtest.get("data") or () if isinstance(one, Mapping)]
    seen = [str(one) for one in seat.get("symbols") or [one.get("symbol") for one in symbols]]
    named = _named(detail, seat)
    if len(seen) > 1 and "folder" in named:
        raise ValidationError(
            f"strategy {seat.get('class')!r} cannot run on paper: it sees {len(seen)} symbols "
            f"({', '.join(seen)}), a strategy of a session has one market"
        )
    bases = ["".join(filter(str.isalnum, one)).upper() or "TEST" for one in seen or ["TEST"]]
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
                "pair": f"{base}-{currency}",
                "tick": "0.01",
                "lot": "0.001",
                "source": {"kind": "synthetic", "start_price": "1000"},
            }
            for base in bases
        ],
        "strategies": [
            {
                **named,
                "id": named["id"] if len(bases) == 1 else f"{named['id']}-{base}"[:40],
                "connector_name": _VENUE,
                "trading_pair": f"{base}-{currency}",
                "params": dict(seat["params"]),
            }
            for base in bases
        ],
    }


def _named(detail: StudyDetail, seat: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a session names the strategy: one that ships by its name, an own one by path.

    Raises:
        ValidationError: a session cannot run it.
    """
    from engine.backtest.strategy_loading import build_strategy
    from engine.config.own_types import OwnTypeError, own_strategy_type, session_refusal
    from engine.config.session import StrategySection
    from engine.flow.errors import ConfigurationError
    from engine.strategies.catalogue import strategy_types

    kind = str(seat.get("class"))
    if kind in strategy_types():
        return {"id": kind, "kind": kind}
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", kind.replace(":", ".").rpartition(".")[2])[:40]
    named: dict[str, Any] = {"id": name.strip("-_") or "own", "kind": kind}
    named["folder"] = detail.base_dir
    if allowed := detail.backtest.get("allow_imports"):
        named["allow_imports"] = list(allowed)
    try:
        section = StrategySection.model_validate(
            {**named, "connector_name": _VENUE, "trading_pair": "X-Y"}
        )
        own = own_strategy_type(section, Path(detail.base_dir))
        refusal = session_refusal(build_strategy(own, seat["params"]))
    except (OwnTypeError, ConfigurationError) as error:
        raise ValidationError(f"strategy {kind!r} cannot run on paper: {error}") from error
    if refusal:
        raise ValidationError(f"strategy {kind!r} cannot run on paper: {refusal}")
    return named


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
