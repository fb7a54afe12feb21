"""What the console sees of backtests and containers: immutable rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.backtest.result_view import ResultView


@unique
class BacktestStatus(StrEnum):
    """Where a backtest stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    BANKRUPT = "bankrupt"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self not in (BacktestStatus.QUEUED, BacktestStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class BacktestRow:
    """One backtest in a list. Fractions are fractions; None is not known (yet)."""

    id: str
    name: str
    status: BacktestStatus
    created_ns: int
    source: str
    """The file, or what it was made of."""
    engine: str = ""
    bars_done: int = 0
    bars_total: int = 0
    bars_per_second: float | None = None
    seconds_left: float | None = None
    simulated_ns: int = 0
    finished_ns: int | None = None
    final_equity: Decimal | None = None
    total_return: float | None = None
    sharpe: float | None = None
    max_drawdown: float | None = None
    n_trades: int | None = None
    fingerprint: str = ""
    error: str = ""
    phase: str = ""
    """What a running one does beside walking over bars: compiling, collecting."""

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""
        if self.status.is_final and self.status is not BacktestStatus.CANCELLED:
            return 1.0
        return self.bars_done / self.bars_total if self.bars_total else 0.0


@dataclass(frozen=True, slots=True)
class BacktestDetail:
    """A backtest with its report and its effective configuration; ``folder`` holds the tables."""

    row: BacktestRow
    summary: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    base_dir: str = ""
    folder: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """One container that exists: what is in it, what it has done, what it needs."""

    id: str
    mode: str
    state: str
    components: tuple[str, ...]
    events: int
    bars_done: int
    bars_total: int
    started_ns: int
    owner: str
    """The session or backtest that it belongs to."""
    pid: int | None = None
    rss_bytes: int | None = None
    errors: int = 0


def open_result(detail: BacktestDetail | None) -> ResultView | None:
    """Open the tables of a finished backtest; None if there are none. Reads files.

    Raises:
        EngineError: the files are damaged.
    """
    if detail is None or not detail.folder or not detail.row.status.is_final:
        return None
    folder = Path(detail.folder)
    if not (folder / "result.json").is_file():
        return None
    from engine.backtest.result_view import ResultView

    return ResultView(folder)
