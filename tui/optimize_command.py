"""The sub-command ``optimize``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tui import paths
from tui.arguments import add_overlays
from tui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from engine.api.optimization_files import OptimizationJob


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 (argparse has no name)
    """Add the sub-command to the parser and return its own."""
    run: argparse.ArgumentParser = commands.add_parser(
        "optimize", help="run many backtests of one file and compare them"
    )
    run.add_argument("config", nargs="?", metavar="CONFIG", help="optimisation file or sample")
    run.add_argument("--resume", metavar="ID", help="go on with a study that was cut off")
    run.add_argument(
        "--backend",
        choices=("serial", "thread", "process", "kernel", "distributed"),
        help="where trials run; the table is always the same",
    )
    run.add_argument("--workers", type=_positive, metavar="N", help="trials at the same time")
    run.add_argument(
        "--cluster", metavar="tcp://HOST:PORT", help="scheduler of a distributed study"
    )
    add_overlays(run, about_set="change one value of the file")
    run.add_argument(
        "--retry-failed", action="store_true", help="with --resume: run failed trials again"
    )
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.add_argument("--out", metavar="DIR", help="write the tables of the study")
    return run


def optimize(options: argparse.Namespace) -> int:
    """Run a study; Ctrl-C ends it with what was done so far."""
    from engine.api.engine_errors import EngineError
    from engine.api.optimization_files import (
        OptimizationFileError,
        OptimizationJob,
        StudyOptions,
    )
    from tui.formatting.optimization_text import progress_line, report_lines

    if (options.config is None) == (options.resume is None):
        sys.stderr.write("quarterdeck optimize: name either CONFIG or --resume ID\n")
        return 2
    bar = ProgressBar(is_shown=sys.stderr.isatty())
    try:
        job = OptimizationJob(
            paths.data_dir(options.data_dir),
            path=None if options.config is None else paths.session_file(options.config),
            resume=options.resume,
            options=StudyOptions(
                backend=options.backend,
                workers=options.workers,
                cluster=options.cluster,
                profile=options.profile,
                overrides=tuple(options.overrides),
                retry_failed=options.retry_failed,
            ),
            listener=lambda progress: bar.show(progress_line(progress, metric=job.metric)),
        )
        sys.stderr.write(f"study {job.id}\n")
        with _cancelled_by_signals(job):
            report = job.run(out=None if options.out is None else Path(options.out))
    except OptimizationFileError as error:
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
        lines = report_lines(report.summary, files=report.files)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return report.exit_code


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers from 1 to 1024")
    return int(text)


@contextmanager
def _cancelled_by_signals(job: OptimizationJob) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the study with what is done; a second one breaks it off."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGINT, signal.default_int_handler)
        job.cancel()

    before = [(one, signal.signal(one, stop)) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for one, handler in before:
            signal.signal(one, handler)
