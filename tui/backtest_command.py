"""The sub-commands about backtests: run, validate, explain, schema, check-lookahead."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from tui import paths
from tui.arguments import add_overlays
from tui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from engine.api.backtest_files import BacktestJob

_STUCK_S: Final = 1.0
"""How long the run may take to end after Ctrl-C before it is broken off."""


def add_parsers(commands: Any) -> None:  # noqa: ANN401 (argparse has no public name for it)
    """Add the sub-commands to the parser."""
    run = commands.add_parser("backtest", help="run a backtest file and show its report")
    _add_file(run)
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.add_argument("--out", metavar="DIR", help="write tables, metrics and an HTML report")
    run.add_argument(
        "--engine", choices=("auto", "events", "compiled"), default="auto", help="which path"
    )
    validate = commands.add_parser("validate", help="say what is wrong with a file of any kind")
    _add_file(validate)
    explain = commands.add_parser("explain", help="show every value of a file and its origin")
    _add_file(explain)
    schema = commands.add_parser("schema", help="print the JSON Schema of a kind of file")
    schema.add_argument(
        "kind",
        nargs="?",
        default="backtest",
        metavar="KIND",
        help="backtest (default), optimization, live_trading, replay or session",
    )
    look = commands.add_parser("check-lookahead", help="test a backtest file for look-ahead")
    _add_file(look)
    look.add_argument("--json", action="store_true", help="print one JSON object")


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="backtest file or bundled sample")
    add_overlays(parser)


def backtest(options: argparse.Namespace) -> int:
    """Run a backtest; Ctrl-C ends it with a partial report."""
    from engine.api.backtest_files import BacktestFileError, BacktestJob
    from engine.api.engine_errors import EngineError
    from tui.formatting.backtest_text import progress_line

    bar = ProgressBar(is_shown=sys.stderr.isatty())
    job = BacktestJob(
        paths.session_file(options.config),
        engine=options.engine,
        profile=options.profile,
        overrides=options.overrides,
        listener=lambda progress: bar.show(progress_line(progress)),
    )
    out = None if options.out is None else Path(options.out)
    try:
        # What a strategy prints is no part of the report.
        with _cancelled_by_signals(job), redirect_stdout(sys.stderr):
            report = job.run(out=out)
    except BacktestFileError as error:
        bar.clear()
        sys.stderr.write(f"{error}\n")
        return 2
    except EngineError as error:
        bar.clear()
        sys.stderr.write(f"quarterdeck: {error}\n")
        return 1
    bar.clear()
    if options.json:
        sys.stdout.write(json.dumps(dict(report.summary), indent=2, allow_nan=False) + "\n")
    else:
        _print_report(report)
    if report.summary.get("error"):
        sys.stderr.write(f"quarterdeck: {report.summary['error']}\n")
    return report.exit_code


def _print_report(report: Any) -> None:  # noqa: ANN401 (a BacktestReport, loaded on use)
    from tui.formatting.backtest_text import report_lines

    lines = report_lines(
        report.summary,
        equity=report.equity,
        drawdown=report.drawdown,
        trades=report.trades,
        trade_count=report.trade_count,
        files=report.files,
        width=min(120, shutil.get_terminal_size((100, 24)).columns),
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)


def validate(options: argparse.Namespace) -> int:
    """Report every problem of a document, and what a person should think about."""
    from engine.api.document_files import check_document

    found = check_document(
        paths.session_file(options.config), profile=options.profile, overrides=options.overrides
    )
    sys.stderr.writelines(f"warning: {text}\n" for text in found.warnings)
    sys.stderr.writelines(f"{text}\n" for text in found.problems)
    return 2 if found.problems else 0


def explain(options: argparse.Namespace) -> int:
    """Print the effective configuration with the origin of each value."""
    from engine.api.document_files import DocumentError, explain_document

    try:
        rows = explain_document(
            paths.session_file(options.config),
            profile=options.profile,
            overrides=options.overrides,
        )
    except DocumentError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    width = max((len(key) + len(value) for key, value, _ in rows), default=0) + 4
    for key, value, origin in rows:
        sys.stdout.write(f"{f'{key}: {value}':<{min(width, 72)}}  # {origin}\n")
    return 0


def check_lookahead(options: argparse.Namespace) -> int:
    """Run the look-ahead checks; exit code 1 when something looks ahead."""
    from engine.api.backtest_files import BacktestFileError, check_lookahead_file
    from engine.api.engine_errors import EngineError
    from tui.formatting.backtest_text import lookahead_lines

    try:
        report = check_lookahead_file(
            paths.session_file(options.config),
            profile=options.profile,
            overrides=options.overrides,
        )
    except BacktestFileError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except EngineError as error:
        sys.stderr.write(f"quarterdeck: {error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lookahead_lines(report))
    return 0 if report["passed"] else 1


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of a kind of document."""
    from engine.api.document_files import DocumentError, document_schema

    try:
        found = document_schema(options.kind)
    except DocumentError as error:
        sys.stderr.write(f"quarterdeck: {error}\n")
        return 2
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


@contextmanager
def _cancelled_by_signals(job: BacktestJob) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the run at its next bar, and break it off if it is stuck."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        job.cancel()
        # A strategy that does not return never comes to its next bar.
        signal.setitimer(signal.ITIMER_REAL, _STUCK_S)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def break_off(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not job.is_collecting:  # what was done so far is worth the wait for its report
            raise KeyboardInterrupt

    before = [
        (one, signal.signal(one, handler))
        for one, handler in (
            (signal.SIGINT, stop),
            (signal.SIGTERM, stop),
            (signal.SIGALRM, break_off),
        )
    ]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in before:
            signal.signal(one, handler)
