"""The command line. Textual and the engine are loaded only in the branch that needs them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, TextIO

from tui import about_command, backtest_command, live_command, optimize_command, paths
from tui.arguments import positive_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from engine.api.views import StopReport
    from tui.app import ConsoleApp

_SIGNS: Final = "quarterdeck-signs"
_UPDATES_PER_S: Final = "120"
_LOOK_AT_TERMINAL_S: Final = 1.0
_EXAMPLES: Final = """\
examples:
  quarterdeck                                   open the console on the built-in paper session
  quarterdeck run my-session.yaml               open it on your own session
  quarterdeck --theme nord --read-only          with options of run
  quarterdeck run deterministic.yaml --headless --json
  quarterdeck run paper.yaml --headless --for 30
  quarterdeck check my-session.yaml             say what is wrong with a file, or nothing
  quarterdeck sessions                          list past sessions
  quarterdeck simulate scenarios/position.yaml  play a scenario of executors
  quarterdeck backtest backtest.yaml            run a backtest and show its report
  quarterdeck backtest backtest.yaml --json --out results
  quarterdeck optimize optimization.yaml        run many backtests and compare them
  quarterdeck live live.yaml --for 60           run a live trading file in paper
  quarterdeck replay results                    play a recorded backtest again and verify it

exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 128+n ended by signal n
"""


def run(arguments: Sequence[str]) -> int:
    """Carry out the command line and return the exit code."""
    exit_code = _run_command(arguments)
    are_read = [_flush(stream) for stream in (sys.stdout, sys.stderr)]
    return exit_code or int(not all(are_read))


def _run_command(arguments: Sequence[str]) -> int:
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    _write_what_is_known(only_ascii=options.ascii)
    try:
        return _carry_out(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def _carry_out(options: argparse.Namespace) -> int:
    match options.command:
        case "check":
            return _check(options)
        case "sessions":
            return _sessions(options)
        case "simulate":
            return _simulate(options)
        case "backtest" | "validate" | "explain" | "schema" | "check-lookahead":
            return _backtests(options)
        case "live" | "replay":
            return live_command.run(options)
        case "optimize":
            return optimize_command.optimize(options)
        case "keys" | "locate" | "doctor":
            return about_command.run(options)
        case _:
            return _run(options)


def _write_what_is_known(*, only_ascii: bool) -> None:
    """Let an encoding that lacks our signs show others, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        encoding = "ascii" if only_ascii else str(stream.encoding or "ascii")
        if encoding.lower().replace("-", "") in ("utf8", "utf16") or not isinstance(
            stream, TextIOWrapper
        ):
            continue
        import codecs

        from tui.formatting.ascii_text import replace_unknown

        codecs.register_error(_SIGNS, replace_unknown)
        stream.reconfigure(encoding=encoding, errors=_SIGNS)


def _flush(stream: TextIO) -> bool:
    """Write out what is buffered; False if the reader, or the terminal, has gone."""
    try:
        stream.flush()
    except OSError:
        # Python must not try it again at exit: that ends in exit code 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quarterdeck",
        description="The operator's console for automated trading.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    _add_data_dir(parser, default=None)
    _add_console_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="command")
    run_parser = commands.add_parser("run", help="run a session (the default command)")
    run_parser.add_argument(
        "config", nargs="?", metavar="CONFIG", help="session file or bundled sample; default paper"
    )
    run_parser.add_argument(
        "--headless", action="store_true", help="no console: print status lines"
    )
    run_parser.add_argument(
        "--for", dest="seconds", type=positive_seconds, metavar="SECONDS", help="end after SECONDS"
    )
    run_parser.add_argument(
        "--json", action="store_true", help="headless: print one JSON object at the end"
    )
    _add_console_options(run_parser, is_sub=True)
    check = commands.add_parser("check", help="validate a session file")
    check.add_argument("config", metavar="CONFIG", help="session file or bundled sample")
    sessions = commands.add_parser("sessions", help="list past sessions from the store")
    sessions.add_argument("--json", action="store_true", help="print a JSON array")
    simulate = commands.add_parser("simulate", help="play a scenario of executors")
    simulate.add_argument("scenario", metavar="SCENARIO", help="scenario file or bundled sample")
    simulate.add_argument("--json", action="store_true", help="print one JSON object")
    backtest_command.add_parsers(commands)
    live_command.add_parsers(commands)
    optimize_command.add_parser(commands)
    about_command.add_parsers(commands)
    for sub in commands.choices.values():
        _add_data_dir(sub, default=argparse.SUPPRESS)
    return parser


def _add_data_dir(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        default=default,
        help=f"where the state lives (also {paths.DATA_DIR_VARIABLE})",
    )


def _add_console_options(parser: argparse.ArgumentParser, *, is_sub: bool = False) -> None:
    """Add what changes the console, this time; the help of ``run`` lists it.

    A sub-command leaves alone what stands before it.
    """
    group = parser.add_argument_group("console, this time") if is_sub else parser
    value: dict[str, Any] = {"default": argparse.SUPPRESS} if is_sub else {}

    def add(name: str, text: str, **more: Any) -> None:  # noqa: ANN401 (argparse's own arguments)
        group.add_argument(name, help=text if is_sub else argparse.SUPPRESS, **more, **value)

    add("--theme", "colours, as the settings (,) list them", metavar="NAME")
    add("--fps", "how often a second the engine is asked, 1 to 30", metavar="N", type=_frames)
    add("--read-only", "look only: nothing that acts works", action="store_true")
    add("--no-color", "no colours, as NO_COLOR=1", action="store_true")
    add("--ascii", "letters in place of lines and symbols", action="store_true")
    add("--no-mouse", "leave the mouse to the terminal", action="store_true")


def _frames(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 30:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 30")
    return int(text)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"quarterdeck {version('quarterdeck')}\n")
        parser.exit()


def _check(options: argparse.Namespace) -> int:
    from engine.api.document_files import check_document

    found = check_document(paths.session_file(options.config))
    sys.stderr.writelines(f"warning: {text}\n" for text in found.warnings)
    sys.stderr.writelines(f"{text}\n" for text in found.problems)
    return 2 if found.problems else 0


def _sessions(options: argparse.Namespace) -> int:
    from engine.api import EngineError, list_sessions
    from tui.formatting.session_table import session_lines

    try:
        rows = list_sessions(paths.data_dir(options.data_dir))
    except EngineError as error:
        sys.stderr.write(f"quarterdeck: {error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps([dict(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in session_lines(rows))
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from engine.api import EngineError, simulate_file
    from tui.formatting.scenario_text import scenario_lines

    try:
        report = simulate_file(paths.session_file(options.scenario))
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in scenario_lines(report))
    return 0


def _backtests(options: argparse.Namespace) -> int:
    match options.command:
        case "backtest":
            return backtest_command.backtest(options)
        case "validate":
            return backtest_command.validate(options)
        case "explain":
            return backtest_command.explain(options)
        case "schema":
            return backtest_command.schema(options)
        case _:
            return backtest_command.check_lookahead(options)


def _run(options: argparse.Namespace) -> int:
    config = paths.session_file(getattr(options, "config", None))
    data_dir = paths.data_dir(options.data_dir)
    seconds = getattr(options, "seconds", None)
    as_json = getattr(options, "json", False)
    reason = None if getattr(options, "headless", False) or as_json else _no_terminal_reason()
    if reason:
        sys.stderr.write(f"quarterdeck: {reason}; running without the console (--headless)\n")
    if reason or as_json or getattr(options, "headless", False):
        from tui.headless import run_headless

        return run_headless(config, data_dir, seconds=seconds, as_json=as_json)
    return _run_console(config, data_dir, seconds=seconds, options=options)


def _no_terminal_reason() -> str | None:
    if not sys.stdout.isatty():
        return "standard output is not a terminal"
    if not sys.stdin.isatty():
        return "standard input is not a terminal"
    if os.environ.get("TERM", "dumb") == "dumb":
        return "the terminal cannot draw (TERM is dumb or not set)"
    return None


def _run_console(
    config: Path, data_dir: Path, *, seconds: float | None, options: argparse.Namespace
) -> int:
    """Run the console on one session after another, as the operator starts them in it."""
    while True:
        if not config.is_file():
            # Said before the screen is touched; everything else is said by the file's loader.
            sys.stderr.write(f"{config}: no such file\n")
            return 2
        app, report = _one_console(config, data_dir, seconds=seconds, options=options)
        exit_code = _say_goodbye(app, report)
        if app.next_session is None:
            return exit_code
        config, seconds = app.next_session, None


def _one_console(
    config: Path, data_dir: Path, *, seconds: float | None, options: argparse.Namespace
) -> tuple[ConsoleApp, StopReport]:
    import anyio

    from engine.api.thread import EngineThread

    # Textual reads it once, on import. A key's line waits for the next of these moments to be
    # painted; none come while nothing has changed, so more of them cost nothing.
    os.environ.setdefault("TEXTUAL_FPS", _UPDATES_PER_S)
    from tui.app import ConsoleApp
    from tui.settings import load_usable_settings, save_settings

    if options.no_color:
        os.environ["NO_COLOR"] = "1"  # Textual reads it when the app is made
    settings, problem = load_usable_settings(paths.config_dir())
    settings = replace(
        settings,
        fps=options.fps or settings.fps,
        read_only=options.read_only or settings.read_only,
    )
    engine = EngineThread(config=config, data_dir=data_dir, seconds=seconds)
    app = ConsoleApp(
        engine,
        on_first_paint=engine.start,
        settings=settings,
        theme=options.theme,
        settings_problem=problem,
        save=None if problem else partial(save_settings, paths.config_dir()),
        themes_dir=paths.asset_dir("themes"),
        own_themes_dir=paths.config_dir() / "themes",
    )
    try:
        anyio.run(partial(_console_and_signals, app, mouse=not options.no_mouse))
    finally:
        report = engine.stop()
    return app, report


async def _console_and_signals(app: ConsoleApp, *, mouse: bool) -> None:
    """Run the console beside tasks that turn signals and a lost terminal into a clean exit."""
    import select
    import signal

    import anyio

    async def watch() -> None:
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async for number in signals:
                app.exit(return_code=128 + number)

    async def watch_terminal() -> None:
        # The system tells only the leader of the session that its terminal has gone; one that
        # waits for us, as make does, does not pass it on.
        terminal = select.poll()
        terminal.register(sys.stdin.fileno(), 0)
        while not any(what & select.POLLHUP for _, what in terminal.poll(0)):  # noqa: ASYNC110
            await anyio.sleep(_LOOK_AT_TERMINAL_S)
        app.exit(return_code=128 + signal.SIGHUP)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, name="signals")
        tasks.start_soon(watch_terminal, name="terminal")
        try:
            await app.run_async(mouse=mouse)
        finally:
            tasks.cancel_scope.cancel()


def _say_goodbye(app: ConsoleApp, report: StopReport) -> int:
    lines = [report.message, *(f"  left: {item}" for item in report.left)]
    try:
        sys.stderr.writelines(f"{line}\n" for line in lines if line)
    except OSError:
        # The terminal has gone (SIGHUP): nobody can read it, the log file has it.
        return app.return_code or report.exit_code
    return app.return_code or report.exit_code
