"""A compiled run in the shape in which the event path reports (COORD-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, overload

from engine.backtest import kernel_layout as at
from engine.backtest.assembly import BuiltRun
from engine.backtest.compiled_run import (
    CompiledRun,
    LedgerOverflowError,
    run_compiled,
)
from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.outcome import RawRun
from engine.backtest.planner import EnginePlan, PlannedStrategy, plan_engine
from engine.backtest.results import ResultStatus
from engine.execution.bar_order import (
    KIND_NAMES,
    ROLE_END,
    ROLE_ENTRY,
    ROLE_EXIT,
    ROLE_LIQUIDATION,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROLE_TRAILING,
    TIF_NAMES,
)
from engine.model.bar_columns import release_pages

_ROLES: Final = (
    ROLE_ENTRY,
    ROLE_EXIT,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROLE_TRAILING,
    ROLE_LIQUIDATION,
    ROLE_END,
)
_FORCED_TAGS: Final = {
    at.ROLE_SIGNAL: "RISK_HALT",
    at.ROLE_LIQUIDATION: "LIQUIDATION",
    at.ROLE_END: "END",
}


def plan_run(config: BacktestConfig, built: BuiltRun) -> EnginePlan:
    """Return which path runs *built*, a run of *config*.

    Raises:
        EngineRefusedError: ``engine: compiled`` and there is a reason against it.
    """
    return plan_engine(
        config,
        columns=built.handler.bars,
        windows=[(one.decision_bar, one.stop_bar) for one in built.handler.windows],
        strategies=[
            PlannedStrategy(one.id, one.strategy, one.symbols) for one in built.host.seated
        ],
    )


def play_plan(plan: EnginePlan, built: BuiltRun, control: RunControl) -> RawRun | None:
    """Run *plan* on the compiled path; None if it is not for it, or its numbers grew too large."""
    if plan.request is None:
        return None
    total = sum(plan.request.stops) - sum(plan.request.starts)
    control.restart_clock()

    def watch(done: int, now_ns: int, equity_atoms: int, fills: int) -> bool:
        control.report(
            bars_done=done,
            bars_total=total,
            now_ns=now_ns,
            equity_atoms=equity_atoms,
            fills=fills,
        )
        return not control.is_cancelled

    try:
        run = run_compiled(plan.request, watch, on_compile=control.begin_compiling)
    except LedgerOverflowError:
        return None
    ids = [one.id for one in built.host.seated]
    return raw_run(run, ids, container_id=built.container.id)


def raw_run(run: CompiledRun, strategies: Sequence[str], *, container_id: str) -> RawRun:
    """Return *run* as the event path reports; *strategies* are the ids by number."""
    status = ResultStatus.COMPLETED
    if run.is_bankrupt:
        status = ResultStatus.BANKRUPT
    elif run.is_cancelled:
        status = ResultStatus.CANCELLED
    warnings = []
    if run.unknown_volume_fills:
        warnings.append(f"{run.unknown_volume_fills} fills on bars of unknown volume")
    return RawRun(
        fills=run.fills,
        equity=run.equity,
        orders=run.orders,
        order_notes=CompiledNotes(run, strategies, container_id=container_id),
        rejections=run.rejections,
        cancellations=run.cancellations,
        status=status,
        bars_done=run.steps_done,
        costs_atoms=0,
        funding_atoms=0,
        shortfall_atoms=run.shortfall_atoms,
        final_equity_atoms=run.final_equity_atoms,
        open_marks=run.marks,
        engine="compiled",
        warnings=tuple(warnings),
    )


class CompiledNotes(Sequence[Mapping[str, Any]]):
    """What a table of integers cannot say of each order; a note is made when it is read."""

    def __init__(self, run: CompiledRun, strategies: Sequence[str], *, container_id: str) -> None:
        self._rows = run.order_rows
        self._tags = run.inputs.tags
        self._owners = run.inputs.owners
        self._ids = tuple(strategies)
        self._container_id = container_id
        self._bankrupt_ns = int(run.stamps[-1]) if run.is_bankrupt else -1

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Mapping[str, Any], ...]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | tuple[Mapping[str, Any], ...]:
        if isinstance(index, slice):
            notes = tuple(self._note(seq) for seq in range(*index.indices(len(self))))
            release_pages(self._rows)
            return notes
        if not -len(self) <= index < len(self):
            raise IndexError(f"order {index} of {len(self)}")
        return self._note(index % len(self))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return map(self._note, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, which hashes otherwise

    def _note(self, seq: int) -> Mapping[str, Any]:
        row = self._rows[seq].tolist()
        tag, filled = row[at.O_TAG], row[at.O_FILLED]
        is_forced = tag < 0
        return {
            "seq": seq,
            "client_id": f"{self._container_id}-O{seq:08d}",
            "type": KIND_NAMES[row[at.O_KIND]],
            "tif": TIF_NAMES[row[at.O_TIF]],
            "limit": _price(row[at.O_LIMIT]),
            "stop": _price(row[at.O_STOP]),
            "reason": at.REASONS[row[at.O_REASON]],
            "role": _ROLES[row[at.O_ROLE]],
            "tag": self._forced_tag(row) if is_forced else self._tags[tag],
            "strategy": "" if is_forced else self._ids[int(self._owners[row[at.O_OWNER]])],
            "parent": None if row[at.O_PARENT] < 0 else row[at.O_PARENT],
            "bar_created": row[at.O_BAR],
            "average_ticks": row[at.O_PRICE_LOTS] / filled if filled else None,
            "fee_atoms": row[at.O_FEE],
            "reduce_only": bool(row[at.O_REDUCE]),
        }

    def _forced_tag(self, row: Sequence[int]) -> str:
        role = row[at.O_ROLE]
        is_last = role == at.ROLE_LIQUIDATION and row[at.O_CREATED] == self._bankrupt_ns
        if is_last and not row[at.O_FEE] and not row[at.O_EXTRA]:
            return "BANKRUPT"
        return _FORCED_TAGS[role]


def _price(ticks: int) -> int | None:
    return None if ticks == at.NO_PRICE else ticks
