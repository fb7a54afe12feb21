"""What goes into a grid and what comes out of it, column by column (FAST-5)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.backtest.compiled_run import CompiledRun
from engine.backtest.curve_facts import CurveFacts
from engine.backtest.kernel_request import KernelRequest
from engine.backtest.metrics import RunFacts


@dataclass(frozen=True, slots=True, eq=False)
class GridRequest:
    """One column: what its run is made of, and the first bar of the first symbol that decides."""

    kernel: KernelRequest
    decision_bar: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GridColumn:
    """The summary of one column.

    ``curve`` and ``facts`` are what the metrics are computed of; the round trips in ``facts`` are
    valid while the column is being finished, because their memory is used again. Money is atoms.
    ``digest64`` and ``fingerprint`` are None unless they were asked for, and so is ``run``.
    """

    number: int
    curve: CurveFacts
    facts: RunFacts
    final_equity_atoms: int
    fills: int
    orders: int
    signals: int
    ambiguous_fills: int
    liquidations: int
    is_bankrupt: bool
    digest64: int | None = None
    fingerprint: str | None = None
    run: CompiledRun | None = None
