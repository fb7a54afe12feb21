"""Optimisation of files, on the calling thread: for the command line."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.flow.errors import ConfigurationError, EngineError

if TYPE_CHECKING:
    from engine.api.optimization_views import TrialRow
    from engine.config.optimization_file import OptimizationFile
    from engine.optimization.objective import Objective
    from engine.optimization.optimization_executor import StudyProgress
    from engine.optimization.study import Study
    from engine.optimization.study_result import StudyResult
    from engine.optimization.trials import TrialRecord

STUDIES: Final = "optimizations"
_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC})
"""Folder of studies inside the data directory."""

REPORT_FILE: Final = "report.json"
HTML_FILE: Final = "report.html"
_STUDY_FILE: Final = "study.json"
_JOURNAL_FILE: Final = "journal.jsonl"
_TABLE_FILE: Final = "table.jsonl"


class OptimizationFileError(EngineError):
    """An optimisation file, its backtest, its data or its backend cannot be used."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What the command line may change of a file; None leaves it as it is."""

    backend: str | None = None
    workers: int | None = None
    cluster: str | None = None
    profile: str | None = None
    overrides: tuple[str, ...] = ()
    retry_failed: bool = False

    def changes(self) -> dict[str, Any]:
        """Return the keys of the section that are changed."""
        found: dict[str, Any] = {}
        backend = self.backend or ("distributed" if self.cluster else None)
        if backend is not None:
            found["parallelism"] = backend
        if self.workers is not None:
            found["max_workers"] = self.workers
        if self.cluster is not None:
            found["cluster"] = self.cluster
        return found


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A study as plain values: what ``--json`` prints.

    ``exit_code`` is 0 done, 1 if no trial has a result, 130 cancelled. ``files`` were written.
    """

    id: str
    summary: Mapping[str, Any]
    exit_code: int
    files: tuple[str, ...] = ()


class OptimizationJob:
    """One study: run it here, cancel it from a signal handler or another thread.

    A new study is kept in the data directory under an id, by which it can be resumed.

    Args:
        data_dir: where studies are kept.
        path: the file, for a new study.
        resume: the id of a study that was cut off, instead of *path*.
        options: changes to the file.
        listener: told of the progress, at most ten times a second, on the thread of `run`.
        on_record: told there of each new row of the table.

    Raises:
        OptimizationFileError: the file cannot be used, or there is no such study.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        path: Path | None = None,
        resume: str | None = None,
        options: StudyOptions | None = None,
        listener: Callable[[StudyProgress], None] | None = None,
        on_record: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        options = options or StudyOptions()
        self._listener = listener
        self._on_record = on_record
        self._study: Study | None = None
        self._is_cancelled = False
        self._is_held = False
        root = data_dir / STUDIES
        with _told_as_usage():
            if resume is not None:
                path, options = _read_study(root, resume, options)
            elif path is None:
                raise OptimizationFileError("name an optimisation file, or a study to resume")
            self._file = self._load(path, options)
            self._options = options
            self._is_new = resume is None
            self.id = resume or _new_study(root, path, options, self._file)
            self._folder = root / self.id
            self._journal_path = self._journal_of(root)

    def cancel(self) -> None:
        """End the study within two seconds; the report has what was done."""
        self._is_cancelled = True
        if self._study is not None:
            self._study.cancel()

    def hold(self, *, is_held: bool) -> None:
        """Send no further trials, or go on; any thread."""
        self._is_held = is_held
        if self._study is not None:
            self._study.hold(is_held=is_held)

    def run(self, *, out: Path | None = None) -> StudyReport:
        """Run the study and write its tables to the folder *out*, if there is one.

        Raises:
            OptimizationFileError: data, backend or journal cannot be used.
            EngineError: *out* cannot be written.
        """
        from engine.live.clock import SystemClock
        from engine.optimization.study import Study
        from engine.optimization.study_report import render_study_report

        with _told_as_usage(self._file), self._forgotten_if_nothing_ran():
            if out is not None:
                _make_folder(out)
            (self._folder / REPORT_FILE).unlink(missing_ok=True)  # it runs again
            study = Study(
                self._file.config,
                self._file.load_base(),
                monotonic_ns=SystemClock().monotonic_ns,
                journal_path=self._journal_path,
                retry_failed=self._options.retry_failed,
                on_progress=self._listener,
                on_record=self._on_record,
            )
            self._study = study
            study.hold(is_held=self._is_held)
            if self._is_cancelled:
                study.cancel()
            result = study.run()
        summary = {"id": self.id, **result.to_json()}
        page = render_study_report(
            summary, parameters=self.parameters, name=self.name, config=self._config_text()
        )
        self._keep(summary, result, page)
        files = () if out is None else _write(out, summary, result, page)
        code = 130 if result.is_cancelled else int(not summary["counts"]["DONE"])
        return StudyReport(self.id, summary, code, files)

    # --- facts of the study ----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Return the label of the study, else its file's name."""
        return self._file.config.name or self._file.path.stem

    @property
    def source(self) -> str:
        """Return the file that it was made of."""
        return str(self._file.path)

    @property
    def metric(self) -> str:
        """Return the metric that ranks."""
        return self._objective.metric

    @property
    def direction(self) -> str:
        """Return ``maximize`` or ``minimize``."""
        return self._objective.direction.value

    @property
    def total(self) -> int:
        """Return how many combinations there are."""
        return len(self._file.config.parameter_space())

    @property
    def parameters(self) -> dict[str, tuple[Any, ...]]:
        """Return by parameter its values as JSON values."""
        from engine.optimization.collector import shown_parameters

        return {
            item.name: tuple(shown_parameters({"": value})[""] for value in item.values)
            for item in self._file.config.parameter_space().parameters
        }

    @property
    def backtest(self) -> dict[str, Any]:
        """Return the effective configuration of the backtest that is varied."""
        from engine.backtest.run_hash import effective_config

        return effective_config(self._file.backtest)

    @property
    def base_dir(self) -> str:
        """Return the folder that the paths of the backtest start from."""
        return str(self._file.base_dir.absolute())

    def trial_row(self, record: TrialRecord) -> TrialRow:
        """Return *record* as the console sees it."""
        from engine.api.optimization_views import TrialRow
        from engine.optimization.collector import shown_parameters

        return TrialRow(
            record.index,
            shown_parameters(record.parameters),
            record.status.value,
            self._objective.value(record),
            dict(record.metrics),
            record.fingerprint,
            "" if record.error is None else record.error.message,
            record.duration_s,
        )

    def best_of(self, report: Mapping[str, Any]) -> TrialRow | None:
        """Return the best trial of a kept report as the console sees it; None without one."""
        from engine.api.optimization_views import TrialRow

        best = report.get("best")
        if not best:
            return None
        return TrialRow(
            int(best["index"]),
            best["parameters"],
            "DONE",
            best["objective"],
            best["metrics"],
            str(best["fingerprint"]),
        )

    def kept_records(self) -> tuple[TrialRecord, ...]:
        """Return the table of a study that has ended; else the trials that the journal holds.

        Of a combination that ran on several windows the longest counts.

        Raises:
            OSError, KeyError, TypeError, ValueError: the file cannot be read.
        """
        from engine.optimization.journal import read_records, read_table

        if (self._folder / _TABLE_FILE).is_file() and (self._folder / REPORT_FILE).is_file():
            return read_table(self._folder / _TABLE_FILE)
        records: dict[int, TrialRecord] = {}
        for record in read_records(self._journal_path):
            known = records.get(record.index)
            if known is None or _bars_of(record) >= _bars_of(known):
                records[record.index] = record
        return tuple(records[index] for index in sorted(records))

    def kept_report(self) -> dict[str, Any]:
        """Return what is kept of a study that has ended: name, status, times, report, best.

        Empty if it has not ended.

        Raises:
            OSError, ValueError: the file cannot be read.
        """
        path = self._folder / REPORT_FILE
        kept: dict[str, Any] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
        return kept

    @property
    def html_path(self) -> Path:
        """Return where the report of the study is when it has ended."""
        return self._folder / HTML_FILE

    @property
    def created_ns(self) -> int:
        """Return when the study was begun."""
        kept = json.loads((self._folder / _STUDY_FILE).read_text(encoding="utf-8"))
        return int(kept.get("created_ns") or self._folder.stat().st_mtime_ns)

    @contextmanager
    def _forgotten_if_nothing_ran(self) -> Iterator[None]:
        """Remove the folder of a new study that could not begin."""
        from engine.optimization.journal import has_records

        try:
            yield
        except BaseException:
            if self._is_new and not has_records(self._journal_path):
                shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _keep(self, summary: Mapping[str, Any], result: StudyResult, page: str) -> None:
        """Write what the console lists of the study after this process.

        Raises:
            EngineError: the data directory cannot be written.
        """
        from engine.live.clock import SystemClock
        from engine.optimization.journal import write_table

        plain = {
            "name": self.name,
            "status": str(summary["status"]).lower(),
            "created_ns": self.created_ns,
            "finished_ns": SystemClock().now_ns(),
            "done": result.progress.done,
            "total": result.progress.total,
            "rows": len(result.collector),
            "report": {key: value for key, value in summary.items() if key != "rows"},
        }
        try:
            write_table(self._folder / _TABLE_FILE, result.collector.records)
            self.html_path.write_text(page, encoding="utf-8")
            (self._folder / REPORT_FILE).write_text(json.dumps(plain), encoding="utf-8")
        except OSError as error:
            raise EngineError(
                f"{self._folder}: the study cannot be kept ({error.strerror})", cause=error
            ) from error

    def _config_text(self) -> str:
        import yaml

        config = self._file.config.model_dump(mode="json", exclude_none=True)
        config["base"] = self.backtest
        text: str = yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)
        return text

    @property
    def _objective(self) -> Objective:
        return self._file.config.objectives()[0]

    def _load(self, path: Path, options: StudyOptions) -> OptimizationFile:
        from engine.config.optimization_file import load_optimization_file

        file = load_optimization_file(path, profile=options.profile, overrides=options.overrides)
        changes = options.changes()
        return file.with_changes(**changes) if changes else file

    def _journal_of(self, root: Path) -> Path:
        named = self._file.config.journal
        if named is not None:
            return self._file.path.parent / named
        return root / self.id / _JOURNAL_FILE


def check_optimization_file(path: Path, *, profile: str | None = None) -> tuple[str, ...]:
    """Return what is wrong with an optimisation file, one line each; empty if it can be run."""
    from engine.config.document import ConfigError
    from engine.config.optimization_file import load_optimization_file

    try:
        load_optimization_file(path, profile=profile)
    except ConfigError as error:
        return error.problems
    return ()


def is_optimization_file(path: Path) -> bool:
    """Whether *path* is a file with a section ``optimization``."""
    from engine.config.document import ConfigError, load_document
    from engine.config.study_checks import SECTION

    try:
        return SECTION in load_document(path).data
    except ConfigError:
        return False


@contextmanager
def _told_as_usage(file: OptimizationFile | None = None) -> Iterator[None]:
    """Turn what is wrong with files, data and backends into one kind of error.

    What is wrong with a key of *file* is told with its line.
    """
    from engine.markets.data_report import MarketDataError

    try:
        yield
    except (ConfigurationError, MarketDataError) as error:
        text = error.message if file is None else file.located(error.message)
        raise OptimizationFileError(text, cause=error) from error
    except OSError as error:
        text = f"{error.filename or 'data directory'}: {error.strerror or error}"
        if error.errno in _NOT_WRITABLE:
            text += "; make room or give yourself write permission there, or use --data-dir"
        raise OptimizationFileError(text, cause=error) from error


def _new_study(root: Path, path: Path, options: StudyOptions, file: OptimizationFile) -> str:
    import hashlib

    from engine.live.clock import SystemClock

    digest = hashlib.sha256(file.config.model_dump_json().encode())
    digest.update(file.backtest.model_dump_json().encode())
    name = f"opt-{digest.hexdigest()[:8]}"
    number = 1
    while True:
        study_id = name if number == 1 else f"{name}-{number}"
        try:
            (root / study_id).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            break
    kept = {
        "path": str(path.resolve()),
        "options": asdict(options),
        "created_ns": SystemClock().now_ns(),
    }
    (root / study_id / _STUDY_FILE).write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return study_id


def _read_study(root: Path, study_id: str, changed: StudyOptions) -> tuple[Path, StudyOptions]:
    """Return the file of a study, and its options with those that are *changed* now."""
    folder = root / study_id
    if folder.parent != root or not (folder / _STUDY_FILE).is_file():
        known = sorted(item.name for item in root.iterdir()) if root.is_dir() else []
        names = ", ".join(known[-10:]) or "none"
        raise OptimizationFileError(f"there is no study {study_id!r}; known studies: {names}")
    given = {key: value for key, value in asdict(changed).items() if value}
    try:
        kept = json.loads((folder / _STUDY_FILE).read_text(encoding="utf-8"))
        options = StudyOptions(**(kept["options"] | given))
        return Path(kept["path"]), replace(options, overrides=tuple(options.overrides))
    except (ValueError, KeyError, TypeError) as error:
        raise OptimizationFileError(
            f"{folder / _STUDY_FILE}:1: is damaged; start the study again from its file",
            cause=error,
        ) from error


def _bars_of(record: TrialRecord) -> float:
    return float("inf") if record.window is None else len(record.window)


def _plain(value: Any) -> Any:  # noqa: ANN401 (a JSON value)
    """Return *value* as YAML's safe writer wants it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _make_folder(out: Path) -> None:
    """Make the folder *out* before anything runs: what was computed shall not be lost at its end.

    Raises:
        EngineError: it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(out, os.W_OK | os.X_OK)
    except OSError as error:
        raise EngineError(
            f"{out}: cannot be written ({error.strerror}); name another folder", cause=error
        ) from error
    if not is_writable:
        raise EngineError(f"{out}: cannot be written; name another folder")


def _write(
    out: Path, summary: Mapping[str, Any], result: StudyResult, page: str
) -> tuple[str, ...]:
    from engine.optimization.walk_tables import export_walk_forward

    try:
        written = list(result.collector.export(out))
        if result.folds:
            objective = result.collector.objective
            written += export_walk_forward(out, result.folds, objective, result.stitched)
        study = out / _STUDY_FILE
        study.write_text(json.dumps(dict(summary), indent=1, allow_nan=False), encoding="utf-8")
        report = out / HTML_FILE
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise EngineError(
            f"{out}: cannot be written ({error.strerror}); name another folder", cause=error
        ) from error
    return tuple(str(path) for path in (*written, study, report))
