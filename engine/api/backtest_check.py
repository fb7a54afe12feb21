"""What the console asks about a backtest before it runs and after it ended; reads files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.views import FormCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.api.backtest_views import BacktestDetail
    from engine.api.commands import RunBacktest


def check_backtest(command: RunBacktest) -> FormCheck:
    """Return what would run: name, strategies, data, engine; or what is wrong, by form field.

    The fields are ``path`` and ``overrides``. Nothing is run; data files are not read.
    """
    from engine.api.backtest_desk import prepare_backtest
    from engine.backtest.run_hash import effective_config
    from engine.flow.errors import EngineError

    try:
        config, base_dir, _ = prepare_backtest(command)
    except (EngineError, OSError, ValueError) as error:
        return FormCheck(errors=_errors(command, error))
    values = effective_config(config)
    problems = _missing_files(values, base_dir)
    if problems:
        return FormCheck(errors={_culprit(command, problems): problems}, preview=_preview(values))
    return FormCheck(
        understood={"path": str(base_dir / Path(command.path).name) if command.path else ""},
        preview=_preview(values),
        values={"name": str(values.get("name") or "")},
    )


def export_backtest(detail: BacktestDetail | None, folder: str) -> tuple[str, ...]:
    """Write the tables, the metrics and the report of a finished backtest to *folder*.

    Returns:
        The files.

    Raises:
        EngineError: there is no result, or the folder cannot be written.
    """
    from engine.flow.errors import EngineError, NotFoundError

    if detail is None or not (Path(detail.folder) / "result.json").is_file():
        raise NotFoundError("there is no result to export: the backtest has not stored one")
    if not folder.strip():
        raise NotFoundError("folder: name the folder to write to")
    from engine.backtest.results_export import export_result
    from engine.backtest.results_io import load_result

    target = Path(folder).expanduser().absolute()
    bars = _bars(detail)
    try:
        target.mkdir(parents=True, exist_ok=True)
        return tuple(map(str, export_result(load_result(Path(detail.folder)), target, bars=bars)))
    except OSError as error:
        raise EngineError(
            f"{target}: cannot be written ({error.strerror or error}); name another folder",
            cause=error,
        ) from error


def _bars(detail: BacktestDetail) -> Any:  # noqa: ANN401 (columns, loaded on use)
    """Return the bars for the report's price chart; none if the data has moved since."""
    from engine.backtest.market_data import MarketDataStore
    from engine.config.backtest_file import load_backtest_values
    from engine.flow.errors import EngineError

    base_dir = Path(detail.base_dir)
    try:
        config = load_backtest_values(dict(detail.config), base_dir)
        return MarketDataStore().load(config, base_dir).columns
    except (EngineError, ValueError, OSError):
        return ()


def _errors(command: RunBacktest, error: Exception) -> dict[str, str]:
    problems = getattr(error, "problems", None) or (str(getattr(error, "message", error)),)
    errors: dict[str, str] = {}
    for problem in problems:
        field = _culprit(command, problem)
        if command.config is not None:  # it was no file: its name and line would mislead
            problem = problem.split(":1: ", 1)[-1]  # noqa: PLW2901 (the same problem, shorter)
        errors.setdefault(field, problem)
    return errors


def _culprit(command: RunBacktest, problem: str) -> str:
    """Return the form field that a problem belongs to."""
    if command.config is not None:
        return "overrides"
    for override in command.overrides:
        key = override.split("=", 1)[0].strip()
        last = key.rsplit(".", 1)[-1]
        if key in problem or "override" in problem or (last and f"{last}:" in problem):
            return "overrides"
    if command.profile and "profile" in problem:
        return "profile"
    return "path"


def _missing_files(values: Mapping[str, Any], base_dir: Path) -> str:
    for entry in values.get("data", ()):
        path = entry.get("path") if isinstance(entry, dict) else None
        if isinstance(path, str) and not any(one in path for one in "*?["):
            whole = Path(path) if Path(path).is_absolute() else base_dir / path
            if not whole.exists():
                symbol = entry.get("symbol", "")
                return f"data of {symbol}: {whole} does not exist; put the file there"
    return ""


def _preview(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows: list[tuple[str, str]] = [("Name", str(values.get("name") or "--"))]
    for label, key in (("Mode", "mode"), ("Engine", "engine"), ("Seed", "seed")):
        if values.get(key) is not None:
            rows.append((label, str(values[key])))
    rows += [
        (str(entry.get("symbol", "data")), f"{entry.get('bar', '')} bars".strip())
        for entry in values.get("data", ())
        if isinstance(entry, dict)
    ]
    components = values.get("components") or {}
    for label, source in (
        ("Strategy", components.get("strategy")),
        ("Controller", values.get("controllers")),
        ("Executor", values.get("executors")),
    ):
        rows += [(label, part) for part in _parts(source)]
    for label, name, wanted in (
        ("Cash", "portfolio", ("initial_cash", "currency")),
        ("Fills", "broker", ("fill_timing", "path")),
    ):
        params = (components.get(name) or {}).get("params") or {}
        text = " ".join(str(params[key]) for key in wanted if params.get(key) is not None)
        if text:
            rows.append((label, text))
    return tuple(rows)


def _parts(value: object) -> list[str]:
    if isinstance(value, dict) and {"class", "type", "kind"} & set(value):
        params = value.get("params") or {}
        shown = " ".join(
            f"{key}={one}" for key, one in params.items() if not isinstance(one, dict | list)
        )
        return [f"{value.get('class') or value.get('type')} {shown}".strip()]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _parts(one)]
    return []
