"""Backtests of files, on the calling thread: for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.flow.errors import ConfigurationError, EngineError

if TYPE_CHECKING:
    from engine.backtest.control import Progress, RunControl
    from engine.backtest.results import BacktestResult

CURVE_POINTS: Final = 2000
"""Most points of a curve in a report."""
TRADES_SHOWN: Final = 20


class BacktestFileError(EngineError):
    """A backtest file, or the data that it names, cannot be used; one line for each mistake."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One round trip as text."""

    symbol: str
    side: str
    qty: str
    entry_at: str
    entry_price: str
    exit_at: str
    exit_price: str
    pnl: str
    exit_reason: str


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """A result as plain values: what ``--json`` prints, curves and trades for a terminal.

    ``equity`` and ``drawdown`` are (ns, value), thinned out, extremes kept. ``files`` is what was
    written. ``exit_code`` is 0 done, 1 failed, 130 cancelled.
    """

    summary: Mapping[str, Any]
    equity: tuple[tuple[int, float], ...]
    drawdown: tuple[tuple[int, float], ...]
    trades: tuple[TradeLine, ...]
    trade_count: int
    exit_code: int
    files: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


class BacktestJob:
    """One backtest of a file: ask it how far it is, cancel it, run it.

    ``cancel`` and ``progress`` may be used from a signal handler or another thread while ``run``
    works on this one.
    """

    def __init__(
        self,
        path: Path,
        *,
        engine: str = "auto",
        profile: str | None = None,
        overrides: Iterable[str] = (),
        listener: Callable[[Progress], None] | None = None,
    ) -> None:
        from engine.backtest.control import RunControl

        self._path = path
        self._engine = engine
        self._profile = profile
        self._overrides = tuple(overrides)
        self._control: RunControl = RunControl(listener=listener)

    @property
    def progress(self) -> Progress:
        """Return how far the run is."""
        return self._control.progress

    @property
    def is_collecting(self) -> bool:
        """Whether the bars are over and the report is being made."""
        return self._control.is_collecting

    def cancel(self) -> None:
        """Ask the run to end at the next bar; the report is marked partial."""
        self._control.cancel()

    def run(self, *, out: Path | None = None) -> BacktestReport:
        """Run the file and write the result to the folder *out*, if there is one.

        Raises:
            BacktestFileError: the file or its data cannot be used.
            EngineError: the run could not be made, or *out* cannot be written.
        """
        from engine.backtest.market_data import MarketDataStore
        from engine.config.backtest_file import load_backtest_file
        from engine.config.document import ConfigError
        from engine.markets.data_report import MarketDataError

        overrides = list(self._overrides)
        if self._engine != "auto":
            overrides.append(f"backtest.engine={self._engine}")
        store = MarketDataStore()
        try:
            file = load_backtest_file(self._path, profile=self._profile, overrides=overrides)
            data = store.load(file.config, file.base_dir)
        except ConfigError as error:
            raise BacktestFileError(error.message, cause=error) from error
        except (MarketDataError, ValueError) as error:
            raise BacktestFileError(str(error), cause=error) from error
        try:
            result = _run(file.config, file.base_dir, store, self._control)
        except ConfigurationError as error:
            raise BacktestFileError(f"{self._path}: {error.message}", cause=error) from error
        files = _write(result, out, data.columns, file.base_dir)
        return make_report(result, files)


def _run(config: Any, base_dir: Path, store: Any, control: RunControl) -> BacktestResult:  # noqa: ANN401 (loaded on use)
    """Run here; in a process that can be killed if the run has a time limit."""
    from engine.backtest.coordinator import BacktestCoordinator
    from engine.backtest.worker import run_in_worker

    if config.timeout_s is not None:
        return run_in_worker(config, base_dir, control=control)
    coordinator = BacktestCoordinator(base_dir=base_dir, store=store)
    return coordinator.run_backtest(config, control=control, keep_failed=True)


def _write(
    result: BacktestResult,
    out: Path | None,
    columns: Any,  # noqa: ANN401 (loaded on use)
    base_dir: Path,
) -> tuple[str, ...]:
    if out is None:
        return ()
    from engine.backtest.recording import EVENTS_FILE, write_recording
    from engine.backtest.results_export import export_result

    try:
        written = export_result(result, out, bars=columns)
        write_recording(result, out / EVENTS_FILE, base_dir=base_dir)
        return tuple(map(str, sorted({*written, out / EVENTS_FILE})))
    except OSError as error:
        raise EngineError(
            f"{out}: cannot be written ({error.strerror or error}); name another folder",
            cause=error,
        ) from error


def make_report(result: BacktestResult, files: tuple[str, ...] = ()) -> BacktestReport:
    """Return *result* as plain values."""
    from engine.backtest.results import ResultStatus

    curves = (
        result.equity_sample(CURVE_POINTS // 2),
        result.drawdown_sample(CURVE_POINTS // 2),
    )
    equity, drawdown = (
        tuple(zip(ts.tolist(), values.tolist(), strict=True)) for ts, values in curves
    )
    codes = {ResultStatus.CANCELLED: 130, ResultStatus.FAILED: 1}
    return BacktestReport(
        summary=result.to_json(),
        equity=equity,
        drawdown=drawdown,
        trades=trade_lines(result, TRADES_SHOWN),
        trade_count=len(result.trades),
        exit_code=codes.get(result.status, 0),
        files=files,
    )


def trade_lines(result: BacktestResult, most: int) -> tuple[TradeLine, ...]:
    """Return the last *most* round trips as text."""
    from dataclasses import replace

    from engine.backtest.readable_tables import trade_frame

    frame = trade_frame(replace(result, trades=result.trades[-most:]))
    return tuple(
        TradeLine(
            symbol=str(row["symbol"]),
            side=str(row["side"]),
            qty=f"{row['qty']:f}",
            entry_at=f"{row['entry_time']:%Y-%m-%d %H:%M}",
            entry_price=f"{row['entry_price']:f}",
            exit_at=f"{row['exit_time']:%Y-%m-%d %H:%M}",
            exit_price=f"{row['exit_price']:f}",
            pnl=f"{row['pnl']:f}",
            exit_reason=str(row["exit_reason"]),
        )
        for row in frame.iter_rows(named=True)
    )


def check_backtest_file(path: Path, *, profile: str | None = None) -> tuple[str, ...]:
    """Return what is wrong with a backtest or live trading file, one line for each mistake."""
    from engine.config.backtest_file import load_backtest_file
    from engine.config.document import ConfigError, load_document
    from engine.config.live_file import SECTION, load_live_file

    try:
        if SECTION in load_document(path).data:
            load_live_file(path)
        else:
            load_backtest_file(path, profile=profile)
    except ConfigError as error:
        return error.problems
    return ()


def is_backtest_file(path: Path) -> bool:
    """Whether *path* is a file with a section ``backtest``."""
    from engine.config.backtest_file import is_backtest_file as is_one

    return is_one(path)


def is_live_file(path: Path) -> bool:
    """Whether *path* is a file with a section ``live_trading``."""
    from engine.config.document import ConfigError, load_document
    from engine.config.live_file import SECTION

    try:
        return SECTION in load_document(path).data
    except ConfigError:
        return False


def check_lookahead_file(
    path: Path, *, profile: str | None = None, overrides: Iterable[str] = ()
) -> dict[str, Any]:
    """Run the look-ahead checks on a file and return their report as JSON values.

    Raises:
        BacktestFileError: the file or its data cannot be used.
    """
    from engine.backtest.assembly import RunRequest
    from engine.backtest.lookahead import check_request
    from engine.backtest.market_data import MarketDataStore
    from engine.config.backtest_file import load_backtest_file
    from engine.config.document import ConfigError
    from engine.markets.data_report import MarketDataError

    try:
        file = load_backtest_file(path, profile=profile, overrides=overrides)
        data = MarketDataStore().load(file.config, file.base_dir)
    except (ConfigError, MarketDataError, ValueError) as error:
        raise BacktestFileError(str(error), cause=error) from error
    return check_request(RunRequest(file.config, file.base_dir, data)).to_json()
