"""Live trading files in paper, on the calling thread: for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.flow.errors import EngineError

if TYPE_CHECKING:
    from engine.config.live_file import LiveFile
    from engine.live.event_log import EventLog
    from engine.live.health import HealthCheck
    from engine.live.live_config import LiveConfig
    from engine.live.live_runner import LiveRunner
    from engine.live.live_status import LiveStatus
    from engine.live.live_trading_manager import LiveTradingManager, RetiredStrategy
    from engine.markets.source import MarketSource
    from engine.model.instruments import ConnectorPair, Instrument
    from engine.strategies.catalogue import StrategyType


LISTENER_INTERVAL_NS: Final = 5_000_000_000


class LiveFileError(EngineError):
    """A live trading file cannot be used; one line for each mistake."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class LiveLine:
    """How one strategy is doing, as text."""

    strategy: str
    state: str
    equity: str
    positions: str
    orders: int
    fills: int
    errors: int
    health: str
    breaker: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveReport:
    """What came of a run: ``summary`` as JSON values, ``exit_code`` 0 done, 1 if one failed."""

    summary: Mapping[str, Any]
    exit_code: int


class LiveJob:
    """Live trading files that share one paper account; each is one strategy.

    ``stop`` may be used from a signal handler or another thread while ``run`` works on this one.
    The account and the market data are those of the first file.

    Raises:
        LiveFileError: a file cannot be used, or cannot be run here.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        profile: str | None = None,
        overrides: Sequence[str] = (),
        seconds: float | None = None,
        on_end: str = "keep",
        record: Path | None = None,
        listener: Callable[[int, tuple[LiveLine, ...]], None] | None = None,
    ) -> None:
        from engine.live.live_config import LIVE

        self._files = _read(paths, profile, overrides)
        self._parts = _parts(self._files)
        self._on_end = on_end
        self._record = record
        self._listener = listener
        self._seconds = seconds
        self._runner: LiveRunner | None = None
        self._told_at_ns = 0
        for file in self._files:
            if file.config.mode == LIVE:
                section = file.config.components.broker
                raise LiveFileError(
                    f"{file.path}: mode LIVE_TRADING needs the order router "
                    f"{getattr(section, 'order_router', '')!r} and none is connected: connections "
                    "to venues come with a later version; set mode PAPER_TRADING and the broker "
                    "class SimulatedBroker to run it on paper"
                )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a person should think about before this trades."""
        return tuple(text for file in self._files for text in file.warnings)

    def stop(self, reason: str = "stopped by the operator") -> None:
        """End the run after the present quote."""
        if self._runner is not None:
            self._runner.stop(reason)

    def run(self) -> LiveReport:
        """Run until the end; return what came of it.

        Raises:
            LiveFileError: a strategy or a market cannot be made.
        """
        from engine.live.clock import SystemClock
        from engine.live.event_log import RecordingError
        from engine.live.live_runner import LiveRunner
        from engine.live.live_trading_manager import LiveTradingManager
        from engine.live.pace import Pace
        from engine.markets.merged_feed import MergedFeed
        from engine.model.clock import SECOND_NS, SimulatedClock

        first = self._files[0]
        feed_section = first.config.market_data_feed
        wall = SystemClock()
        start_ns = wall.now_ns() if feed_section.start == "now" else feed_section.start
        sources = _sources(first)
        clock = SimulatedClock(start_ns)
        account = first.config.account
        instruments = {one.market: one.instrument for one in sources}
        manager = LiveTradingManager(
            instruments=instruments,
            account_equity=self._equity(),
            now_ns=clock.now_ns,
            currency=account.currency,
            parity=account.parity,
            reserve=account.reserve,
            internal_crossing=account.internal_crossing,
            rss_bytes=_rss_bytes,
        )
        self._add_all(manager)
        end_ns = None if feed_section.end_after is None else start_ns + feed_section.end_after
        if self._seconds is not None:
            asked = start_ns + int(self._seconds * SECOND_NS)
            end_ns = asked if end_ns is None else min(end_ns, asked)
        log = self._open_log(manager, start_ns, instruments)
        speed = None if feed_section.speed == "max" else feed_section.speed
        runner = self._runner = LiveRunner(
            manager=manager,
            feed=MergedFeed(sources, start_ns=start_ns),
            pace=Pace(clock=wall, start_ns=start_ns, speed=speed),
            clock=clock,
            end_ns=end_ns,
            on_second=lambda ns: self._tell(manager, ns, wall.monotonic_ns()),
            on_input=None if log is None else log.take_input,
        )
        try:
            try:
                runner.run()
            finally:
                if log is not None:
                    log.close()
        except RecordingError as error:
            manager.close()
            raise LiveFileError(error.message, cause=error) from error
        except BaseException:
            manager.close()
            raise
        checks = manager.check_health()
        states = {one.id: one.state.value for one in manager.status()}
        for name in list(manager.strategies):
            manager.remove_strategy(name, "flatten" if self._on_end == "flatten" else "keep")
        runner.wind_down()
        manager.close()
        strategies = [
            _strategy(manager.retired[name], state, checks[name]) for name, state in states.items()
        ]
        summary = _summary(manager, strategies, runner, start_ns, clock.now_ns())
        return LiveReport(summary, 1 if "failed" in states.values() else 0)

    def _open_log(
        self,
        manager: LiveTradingManager,
        start_ns: int,
        instruments: Mapping[ConnectorPair, Instrument],
    ) -> EventLog | None:
        if self._record is None:
            return None
        from engine.live.event_log import EventLog, RecordingError

        try:
            log = EventLog(
                self._record,
                strategies=[(one.id, one.config) for one in self._parts],
                instruments=instruments,
                account_equity=self._equity(),
                start_ns=start_ns,
                base_dir=self._files[0].base_dir,
            )
        except RecordingError as error:
            manager.close()
            raise LiveFileError(error.message, cause=error) from error
        for live in manager.strategies.values():
            log.watch(live)
        return log

    def _equity(self) -> Decimal:
        account = self._files[0].config.account
        if account.equity is not None:
            return account.equity
        wanted = sum(
            (one.config.components.portfolio.allocated_capital for one in self._parts), Decimal(0)
        )
        return (wanted / (1 - account.reserve)).quantize(Decimal("0.01"), ROUND_CEILING)

    def _add_all(self, manager: LiveTradingManager) -> None:
        problems = []
        for one in self._parts:
            try:
                manager.add_strategy(one.id, one.config, kind=one.kinds)
            except (EngineError, ValueError) as error:
                problems.append(f"{one.path}: {error}")
        if problems:
            manager.close()
            raise LiveFileError("\n".join(problems))

    def _tell(self, manager: LiveTradingManager, now_ns: int, wall_ns: int) -> None:
        """Tell the listener how things are, at most every five seconds of wall time."""
        if self._listener is not None and wall_ns - self._told_at_ns >= LISTENER_INTERVAL_NS:
            self._told_at_ns = wall_ns
            self._listener(now_ns, tuple(_line(one) for one in manager.status()))


def _rss_bytes() -> int | None:
    """Return the memory of this process, None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    import resource

    return int(pages) * resource.getpagesize()


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _read(
    paths: Sequence[Path], profile: str | None, overrides: Sequence[str]
) -> tuple[LiveFile, ...]:
    from engine.config.document import ConfigError
    from engine.config.live_file import read_live_file

    files: list[LiveFile] = []
    problems: list[str] = []
    for path in paths:
        try:
            files.append(read_live_file(path, profile=profile, overrides=overrides))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise LiveFileError("\n".join(problems))
    return tuple(files)


@dataclass(frozen=True, slots=True)
class _Part:
    """One container of a run: the strategies of a file, or one of them."""

    id: str
    path: Path
    config: LiveConfig
    kinds: tuple[StrategyType, ...]


def _parts(files: Sequence[LiveFile]) -> tuple[_Part, ...]:
    """Return the containers, named after file and strategy, numbered where two are the same."""
    parts: dict[str, _Part] = {}
    for file in files:
        for own, config, kinds in file.containers():
            wish = f"{file.path.stem}-{own}" if own else file.path.stem
            name, count = wish, 2
            while name in parts:
                name, count = f"{wish}-{count}", count + 1
            parts[name] = _Part(name, file.path, config, kinds)
    return tuple(parts.values())


def _sources(file: LiveFile) -> tuple[MarketSource, ...]:
    from engine.markets.config import MarketConfigError, build_source
    from engine.markets.data_report import MarketDataError

    section = file.config.market_data_feed
    venues = {one.name: one for one in section.venues}
    sources: list[MarketSource] = []
    problems: list[str] = []
    for index, market in enumerate(section.markets):
        path = ("live_trading", "market_data_feed", "markets", index)
        document = file.layered.document
        if market.venue not in venues:
            text = f"venue {market.venue!r} is not known, allowed: {', '.join(venues)}"
            problems.append(document.problem((*path, "venue"), text))
            continue
        try:
            sources.append(
                build_source(
                    market,
                    venues[market.venue],
                    base_dir=file.base_dir,
                    seed=file.config.seed + index,
                )
            )
        except MarketConfigError as error:
            problems.append(document.problem((*path, *error.path), error.text))
        except MarketDataError as error:
            problems.append(document.problem((*path, "source"), error.message))
    if problems:
        raise LiveFileError("\n".join(problems))
    return tuple(sources)


def _line(status: LiveStatus) -> LiveLine:
    held = ", ".join(f"{market} {lots:+d} lots" for market, lots in status.positions.items())
    return LiveLine(
        strategy=status.id,
        state=status.state.value,
        equity=f"{status.equity:,.2f}",
        positions=held or "flat",
        orders=status.orders,
        fills=status.fills,
        errors=status.errors,
        health=status.health.value,
        breaker=status.breaker.value,
        reasons=status.reasons,
    )


def _summary(
    manager: LiveTradingManager,
    strategies: Sequence[Mapping[str, Any]],
    runner: LiveRunner,
    start_ns: int,
    end_ns: int,
) -> dict[str, Any]:
    """Return what came of a run."""
    from engine.model.clock import to_iso

    return {
        "mode": "PAPER_TRADING",
        "started": to_iso(start_ns),
        "ended": to_iso(end_ns),
        "reason": runner.reason,
        "quotes": runner.quotes,
        "strategies": strategies,
        "crossings": len(manager.book.crossings),
        "warnings": list(manager.book.warnings),
    }


def _strategy(retired: RetiredStrategy, state: str, check: HealthCheck) -> dict[str, Any]:
    """Return what came of a strategy; *state* and *check* are from before it was stopped."""
    status = retired.status
    return {
        "id": status.id,
        "state": state,
        "equity": f"{status.equity:f}",
        "allocated_capital": f"{status.allocated_capital:f}",
        "positions": {str(market): lots for market, lots in status.positions.items()},
        "orders": status.orders,
        "rejects": status.rejects,
        "refused": status.refused,
        "fills": status.fills,
        "errors": status.errors,
        "late_fills": status.late_fills,
        "dropped_quotes": status.dropped_quotes,
        "breaker": status.breaker.value,
        "health": _health(check),
        "shadow": retired.shadow.to_json(),
        "calibration": dict(retired.calibration),
        "alerts": list(status.alerts),
    }


def _health(check: HealthCheck) -> dict[str, Any]:
    figures = check.figures
    return {
        "level": check.level.value,
        "reasons": list(check.reasons),
        "data_age_ms": _ms(figures.data_age_ns),
        "lag_ms": _ms(figures.lag_ns),
        "queue_depth": figures.queue_depth,
        "error_rate": figures.error_rate,
        "reject_rate": figures.reject_rate,
        "latency_p50_ms": figures.latency_p50_ms,
        "latency_p99_ms": figures.latency_p99_ms,
        "rss_bytes": figures.rss_bytes,
        "reconciliation_age_ms": _ms(figures.reconciliation_age_ns),
    }
