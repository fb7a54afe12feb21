"""The sub-commands `live` and `replay`, and what they print."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from tui import paths
from tui.arguments import add_overlays, positive_seconds
from tui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from engine.api.live_files import LiveLine
    from engine.api.replay_files import ReplayJob, ReplayPosition, ReplayReport

_EVENTS_SHOWN: Final = 5
_STEP_HELP: Final = (
    "Enter: next bar, a number: so many bars, g BAR: go to a bar, c: go on, e: last events, q: end"
)


def add_parsers(commands: Any) -> None:  # noqa: ANN401 (argparse has no public name for it)
    """Add the sub-commands to the parser."""
    live = commands.add_parser("live", help="run live trading files in paper, one account for all")
    live.add_argument(
        "config", metavar="CONFIG", nargs="+", help="live trading file or bundled sample"
    )
    add_overlays(live)
    live.add_argument(
        "--for", dest="seconds", type=positive_seconds, metavar="SECONDS", help="end after SECONDS"
    )
    live.add_argument(
        "--on-end",
        choices=("keep", "flatten"),
        default="keep",
        help="what the end does with open positions",
    )
    live.add_argument(
        "--calibration",
        metavar="FILE",
        help="write the measured slippage and limit fills as broker parameters of a backtest",
    )
    live.add_argument(
        "--record", metavar="FILE", help="write inputs and events to FILE.events for a replay"
    )
    live.add_argument("--json", action="store_true", help="print one JSON object")
    replay = commands.add_parser("replay", help="play a recorded backtest again and verify it")
    replay.add_argument(
        "config", metavar="CONFIG", help="replay file, folder of a result, or file of events"
    )
    add_overlays(replay)
    replay.add_argument("--pace", metavar="PACE", help="max, step, 1x or another number and x")
    replay.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="stop at the first event that differs from the recording (default: yes)",
    )
    replay.add_argument(
        "--break",
        dest="breakpoints",
        action="append",
        default=[],
        metavar="WHERE",
        help="stop at events, such as FILL or kind=FILL,symbol=SPX,order=3; may be repeated",
    )
    replay.add_argument("--seek", type=int, metavar="BAR", help="bar to start at")
    replay.add_argument("--base-dir", metavar="DIR", help="folder that the data paths start from")
    replay.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Carry the sub-command out."""
    return live(options) if options.command == "live" else replay(options)


def live(options: argparse.Namespace) -> int:
    """Run live trading files in paper; Ctrl-C ends it with a report."""
    from engine.api.live_files import LiveFileError, LiveJob

    talk = sys.stderr if options.json else sys.stdout

    def show(now_ns: int, lines: tuple[LiveLine, ...]) -> None:
        talk.writelines(f"{text}\n" for text in _live_lines(now_ns, lines))
        talk.flush()

    try:
        job = LiveJob(
            [paths.session_file(one) for one in options.config],
            profile=options.profile,
            overrides=options.overrides,
            seconds=options.seconds,
            on_end=options.on_end,
            record=None if options.record is None else Path(options.record),
            listener=show,
        )
        for text in job.warnings:
            sys.stderr.write(f"warning: {text}\n")
        # What a strategy prints is no part of the report.
        with _stopped_by_signals(job.stop) as caught, redirect_stdout(sys.stderr):
            report = job.run()
    except LiveFileError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.calibration is not None and not _write_calibration(
        Path(options.calibration), report.summary
    ):
        return 1
    if options.json:
        sys.stdout.write(json.dumps(report.summary, indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.writelines(f"{text}\n" for text in _live_report(report.summary))
    return 128 + caught[0] if caught else report.exit_code


def _live_lines(now_ns: int, lines: tuple[LiveLine, ...]) -> list[str]:
    from tui.formatting.clock import format_clock

    return [
        f"{format_clock(now_ns)}  {one.strategy}  {one.state}  equity {one.equity}  "
        f"{one.positions}  orders {one.orders}  fills {one.fills}  errors {one.errors}  "
        f"health {one.health}  breaker {one.breaker}"
        + (f"  ({'; '.join(one.reasons)})" if one.reasons else "")
        for one in lines
    ]


def _live_report(summary: Any) -> Iterator[str]:  # noqa: ANN401 (JSON values)
    yield f"{summary['mode']}: {summary['reason']}, {summary['quotes']:,} quotes"
    for one in summary["strategies"]:
        held = ", ".join(f"{market} {lots:+d} lots" for market, lots in one["positions"].items())
        yield (
            f"{one['id']}: {one['state']}, equity {one['equity']} of {one['allocated_capital']}, "
            f"{held or 'flat'}; {one['orders']} orders, {one['fills']} fills, "
            f"{one['rejects']} rejected, {one['refused']} refused, {one['errors']} errors"
        )
        shadow = one["shadow"]
        if shadow and shadow["compared"]:
            yield (
                f"  against the shadow ({shadow['compared']} orders): mean "
                f"{shadow['mean_bps']} bps, median {shadow['median_bps']}, 95 % "
                f"{shadow['p95_bps']}, fill rate gap {shadow['fill_rate_gap']}"
            )
        yield from (f"  {text}" for text in one["alerts"][-_EVENTS_SHOWN:])
    yield from (f"warning: {text}" for text in summary["warnings"])


def _write_calibration(path: Path, summary: Any) -> bool:  # noqa: ANN401 (JSON values)
    """Write broker parameters that `components.broker.params` of a backtest file takes."""
    import yaml

    found = {one["id"]: one["calibration"] for one in summary["strategies"]}
    values = next(iter(found.values())) if len(found) == 1 else found
    head = "# Measured against the shadow; for components.broker.params of a backtest.\n"
    try:
        path.write_text(head + yaml.safe_dump(values, sort_keys=True), encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"quarterdeck: {path}: cannot be written ({error.strerror})\n")
        return False
    return True


def replay(options: argparse.Namespace) -> int:
    """Replay a recording; exit code 1 if it differs."""
    from engine.api.engine_errors import EngineError
    from engine.api.replay_files import ReplayFileError, ReplayJob, ReplayOptions

    given = Path(options.config)
    path = given if given.is_dir() or given.is_file() else paths.session_file(options.config)
    try:
        job = ReplayJob(
            path,
            ReplayOptions(
                pace=options.pace,
                verify=options.verify,
                breakpoints=options.breakpoints,
                seek=options.seek,
                base_dir=None if options.base_dir is None else Path(options.base_dir),
                profile=options.profile,
                overrides=options.overrides,
            ),
        )
    except ReplayFileError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stop = threading.Event()

    def end(reason: str) -> None:
        del reason
        stop.set()
        job.stop()

    try:
        with _stopped_by_signals(end) as caught, redirect_stdout(sys.stderr):
            _play(job, stop, talk=sys.stderr)
            report = job.finish()
    except EngineError as error:
        sys.stderr.write(f"quarterdeck: {error}\n")
        return 1
    finally:
        job.close()
    if options.json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.writelines(f"{text}\n" for text in _replay_report(report))
    if caught:
        return 128 + caught[0]
    return 1 if report.difference else 0


def _play(job: ReplayJob, stop: threading.Event, *, talk: Any) -> None:  # noqa: ANN401 (a stream)
    bar = ProgressBar(is_shown=sys.stderr.isatty() and not job.is_step)
    job.begin()
    if job.is_step:
        talk.write(f"{_STEP_HELP}\n")
        _step_by_hand(job, stop, talk)
        return
    is_slow = True
    while is_slow and not stop.is_set():
        position = job.play(
            wait=lambda seconds: _wait(stop, seconds),
            shown=lambda at: bar.show(f"bar {at.bar:,} of {at.bars:,}"),
        )
        if position.hit is None or position.is_over:
            break
        bar.clear()
        _tell(position, talk)
        if sys.stdin.isatty():
            talk.write(f"{_STEP_HELP}\n")
            _step_by_hand(job, stop, talk)
            is_slow = False
    bar.clear()


def _wait(stop: threading.Event, seconds: float) -> None:
    stop.wait(seconds)


def _step_by_hand(job: ReplayJob, stop: threading.Event, talk: Any) -> None:  # noqa: ANN401 (a stream)
    """Read what to do from the input, one line each, until its end."""
    for line in sys.stdin:
        word = line.strip()
        if stop.is_set():
            return
        if word == "q":
            job.stop()
            return
        if word == "e":
            for event in job.events(_EVENTS_SHOWN):
                talk.write(f"  {json.dumps(dict(event), default=str)}\n")
            continue
        position = _move(job, word)
        if position is None:
            talk.write(f"{word!r} is not known. {_STEP_HELP}\n")
            continue
        _tell(position, talk)
        if position.is_over:
            return


def _move(job: ReplayJob, word: str) -> ReplayPosition | None:
    """Do what *word* says; None if it says nothing that is known."""
    if word == "c":
        return job.go_on()
    if word.isdecimal() or not word:
        return job.step(int(word or 1))
    letter, _, bar = word.partition(" ")
    return job.seek(int(bar)) if letter == "g" and bar.strip().isdecimal() else None


def _tell(position: ReplayPosition, talk: Any) -> None:  # noqa: ANN401 (a stream)
    from tui.formatting.clock import format_date_time

    when = format_date_time(position.ts_ns) if position.ts_ns else "the start"
    talk.write(f"bar {position.bar:,} of {position.bars:,}  {when}\n")
    if position.hit is not None:
        talk.write(f"  {json.dumps(dict(position.hit), default=str)}\n")
    talk.flush()


def _replay_report(report: ReplayReport) -> Iterator[str]:
    yield f"{report.source}: {report.bars:,} of {report.bars_total:,} bars replayed"
    if report.difference:
        yield report.difference
    elif report.verified:
        yield f"fingerprint {report.fingerprint} equals the recording"
    elif report.fingerprint is not None:
        same = "equals" if report.fingerprint == report.recorded_fingerprint else "differs from"
        yield f"fingerprint {report.fingerprint} {same} the recording"
    else:
        yield "ended before the last bar: nothing was compared with the recorded fingerprint"


@contextmanager
def _stopped_by_signals(stop: Callable[[str], None]) -> Iterator[list[int]]:
    """Call *stop* at SIGINT and SIGTERM; yield the signals that came. A second one breaks off."""
    caught: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        stop(f"stopped by signal {number}")

    before = [(one, signal.signal(one, handle)) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield caught
    finally:
        for one, handler in before:
            signal.signal(one, handler)
