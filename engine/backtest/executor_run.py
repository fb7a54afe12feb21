"""Trading executors in a backtest: the same container, orchestrator and journal as in paper.

The bars are walked along their path as quotes on a simulated clock. The hash of the inputs is the
journal hash that a paper session with the same inputs has.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final

import numpy as np

from engine.backtest.assembly import RunRequest
from engine.backtest.bar_quotes import BarQuoteSource
from engine.backtest.barrier_points import BarrierPoints
from engine.backtest.control import RunControl
from engine.backtest.executor_plan import plan_executors
from engine.backtest.executor_scan import ScannedPlay
from engine.backtest.executor_settings import (
    broker_settings,
    risk_settings,
    settings_problems,
    stops_at_barriers,
    walked_path,
)
from engine.backtest.exposed_path import ExposedPath
from engine.backtest.outcome import RawRun, Stopwatch, make_result
from engine.backtest.own_executors import find_controller_type, load_executor_types
from engine.backtest.planner import EnginePlan
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.run_hash import effective_config, plain, run_hash
from engine.backtest.strategy_loading import build_strategy, find_strategy_type
from engine.containers.effects import Effects
from engine.containers.inputs import (
    ActionInput,
    ForceStopInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
    encode,
)
from engine.containers.session_assembly import assemble_session
from engine.containers.session_container import SessionContainer
from engine.execution.bar_settings import PathMode
from engine.execution.reasons import ReasonCode
from engine.executors.archive import ArchivedExecutor
from engine.executors.orchestrator_section import OrchestratorSection
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.markets.mapped_columns import column_like, is_mapped
from engine.markets.merged_feed import FeedItem, MergedFeed, TimerTick
from engine.model.bar_columns import BarColumns, IntArray, blocks, placed, release_pages
from engine.model.bar_view import reader
from engine.model.clock import SECOND_NS
from engine.model.funding import FundingRate
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, Order, OrderStatus, PositionMode
from engine.model.quotes import BarPoint, QuoteTick
from engine.model.run_tables import (
    EQUITY_DTYPE,
    FILL_DTYPE,
    FILL_REASONS,
    NO_PRICE,
    ORDER_DTYPE,
    Table,
)
from engine.store.journal_hash import JournalHash
from engine.store.records import JournalEntry
from engine.strategies.controller import Controller
from engine.strategies.strategy import Strategy

STOP_QUOTES: Final = 200
"""Repetitions of the last quotes in which executors may close; then they are forced."""
_CUT_SHORT: Final = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
_REASON: Final = {
    "close": "SIGNAL",
    "stop_loss": "STOP_LOSS",
    "take_profit": "TAKE_PROFIT",
    "trailing_stop": "TRAILING",
}


@dataclass(slots=True)
class _Log:
    """What a run leaves, in the order in which it happened."""

    fills: list[tuple[Fill, int]]
    orders: dict[str, Order]
    archived: list[ArchivedExecutor]
    problems: list[str]


class ExecutorRun:
    """One backtest of executors: feeds a session's container and collects its effects."""

    def __init__(self, request: RunRequest, control: RunControl) -> None:
        self._request = request
        self._control = control
        self._columns = request.data.columns
        self._instruments = _instruments(request)
        self._symbols = {one.market: index for index, one in enumerate(self._instruments)}
        self._hash = JournalHash()
        self._inputs = 0
        self._log = _Log([], {}, [], [])
        self._last: dict[ConnectorPair, QuoteTick] = {}
        self._plan = EnginePlan("events")

    def run(self) -> BacktestResult:
        """Return the complete result.

        Raises:
            EngineError: the configuration cannot be used, or the core broke.
        """
        for path, text in settings_problems(self._request.config):
            raise ConfigurationError(f"{'.'.join(map(str, path))}: {text}")
        self._plan = plan_executors(self._request.config, self._columns)
        clock = SystemClock()
        stopwatch = Stopwatch.start(clock.now_ns())
        request, config = self._request, self._request.config
        values = effective_config(config)
        identity = run_hash(values, data_hash=request.data.data_hash, source_hash="executors")
        container = self._container(f"backtest_{identity[:8]}")
        self._control.restart_clock()
        try:
            if self._plan.engine == "compiled":
                samples = self._play_scanned(container)
            else:
                samples = self._play(container)
            self._control.begin_collecting()
            raw = self._raw(container, *samples)
            base = container.metrics
            columns = [
                replace(one, instrument=instrument)
                for one, instrument in zip(self._columns, self._instruments, strict=True)
            ]
            result = make_result(
                raw,
                request=request,
                columns=columns,
                run_id=container.id,
                run_hash=identity,
                effective=values,
                first_decision_bar=0,
                base_metrics=replace(base, seed=config.seed, mode=config.mode.value),
                stopwatch=stopwatch,
                control=self._control,
                wall_ns=clock.now_ns(),
            )
        finally:
            container.close()
        flags = {
            **result.flags,
            "journal_hash": None if self._plan.engine == "compiled" else self._hash.hexdigest(),
            "inputs": self._inputs,
            "executors": container.executor_count,
            "path": walked_path(config).value,
            "close_types": _close_types(self._log.archived),
        }
        return replace(result, flags=flags, warnings=(*result.warnings, *self._log.problems))

    # --- wiring --------------------------------------------------------------------------------

    def _container(self, container_id: str) -> SessionContainer:
        load_executor_types(
            (str(one.get("type", "")) for one in self._request.config.executors),
            base_dir=self._request.base_dir,
            allow_imports=self._request.config.allow_imports,
        )
        config = self._request.config
        account = config.components.portfolio.params
        pairs = [one.market for one in self._instruments]
        quotes = sorted({pair.quote for pair in pairs} - {account.currency})
        return assemble_session(
            container_id=container_id,
            start_ns=0,
            seed=config.seed,
            instruments={one.market: one for one in self._instruments},
            bar_ns=min(one.duration_ns for one in self._columns),
            currency=account.currency,
            initial_balance=account.initial_cash,
            parity=quotes,
            broker=broker_settings(config),
            risk=risk_settings(config.components.risk_manager.params),
            controllers=_controllers(self._request),
            strategies=self._strategies(),
            money_precision=account.money_precision,
            executors=OrchestratorSection(
                retry_backoff_base_s=Decimal(0), retry_backoff_max_s=Decimal(0)
            ),
        )

    def _strategies(self) -> list[tuple[ConnectorPair, Strategy]]:
        config, seated = self._request.config, []
        for section in config.components.all_strategies:
            kind = find_strategy_type(
                section, base_dir=self._request.base_dir, allow_imports=config.allow_imports
            )
            for index, entry in enumerate(config.data):
                if section.symbols is None or entry.symbol in section.symbols:
                    strategy = build_strategy(kind, section.params)
                    seated.append((self._instruments[index].market, strategy))
        return seated

    # --- feeding -------------------------------------------------------------------------------

    def _play_scanned(self, container: SessionContainer) -> tuple[IntArray, IntArray]:
        """Feed what changes anything; return the ends of the bars and the equity there.

        There is no journal: who leaves out inputs does not write them down.
        """
        bars, instrument = self._columns[0], self._instruments[0]

        def give(item: SessionInput) -> None:
            self._inputs += 1
            self._keep(container.apply(item))

        def begin(ts_ns: int) -> None:
            for wish in self._wishes():
                give(wish(ts_ns))

        scan = ScannedPlay(
            container=container,
            bars=bars,
            instrument=instrument,
            path=walked_path(self._request.config),
            give=give,
            control=self._control,
            count_fills=lambda: len(self._log.fills),
        )
        give(StartInput(int(bars.ts_open[0])))
        scan.play(begin)
        if scan.last_quote is not None:
            self._last[instrument.market] = scan.last_quote
        self._stop(container, keep=not self._request.config.close_positions_at_end)
        return scan.samples(container.portfolio.equity_atoms)

    def _play(self, container: SessionContainer) -> tuple[IntArray, IntArray]:
        """Feed everything; return the ends of the bars and the equity there."""
        config, columns = self._request.config, self._columns
        start_ns = min(int(one.ts_open[0]) for one in columns)
        interval_ns = max(SECOND_NS, min(one.duration_ns for one in columns) // 4)
        path = walked_path(config)
        feed = MergedFeed(
            [
                BarQuoteSource(one, instrument, path)
                for one, instrument in zip(columns, self._instruments, strict=True)
            ],
            start_ns=start_ns,
            timer_interval_ns=interval_ns,
        )
        stamps = _ends(columns)
        ends: Sequence[int] = reader(stamps)
        place, total = 0, len(ends)
        atoms: IntArray = column_like(columns[0].ts_close, length=total)
        self._give(container, StartInput(start_ns))
        wishes = self._wishes()
        for item in self._items(container, feed, path):
            while place < total and item.ts_ns >= ends[place]:
                atoms[place] = container.portfolio.equity_atoms
                place += 1
            self._give(container, _input(item))
            if isinstance(item, QuoteTick):
                self._last[item.market] = item
                if wishes and len(self._last) == len(self._instruments):
                    for wish in wishes:
                        self._give(container, wish(item.ts_ns))
                    wishes = []
            if self._control.is_cancelled:
                break
            self._control.report(
                bars_done=place,
                bars_total=total,
                now_ns=item.ts_ns,
                equity_atoms=container.portfolio.equity_atoms,
                fills=len(self._log.fills),
                events=container.events_published,
            )
        self._stop(container, keep=not config.close_positions_at_end)
        count = min(place + 1, total)
        atoms[count - 1] = container.portfolio.equity_atoms
        return stamps[:count], atoms[:count]

    def _funding(self) -> deque[FundingRate]:
        """Return the payments of all perpetuals in the order of their time (PF-9)."""
        due = [
            FundingRate(instrument.market, one.ts_ns, one.rate_ppb)
            for entry, instrument in zip(self._request.config.data, self._instruments, strict=True)
            for one in entry.funding_events()
        ]
        return deque(sorted(due, key=lambda one: one.ts_ns))

    def _items(
        self, container: SessionContainer, feed: MergedFeed, path: PathMode
    ) -> Iterator[FeedItem]:
        """Yield what the feed and the funding of the data give, extremes as *path* wants them.

        The next item is asked for when the container has taken the one before.
        """
        exposed: dict[ConnectorPair, ExposedPath] = {}
        if path is PathMode.PESSIMISTIC:
            pairs = zip(self._instruments, self._columns, strict=True)
            exposed = {one.market: ExposedPath(bars) for one, bars in pairs}
        funding = self._funding()
        barriers = None
        if stops_at_barriers(self._request.config):
            barriers = BarrierPoints(container.orchestrator)
        for item in feed:
            while funding and funding[0].ts_ns < item.ts_ns:
                yield funding.popleft()
            if not isinstance(item, QuoteTick):
                yield item
                continue
            quote = item
            if quote.market in exposed:
                net_lots = container.portfolio.net_lots(quote.market)
                quote = exposed[quote.market].placed(quote, net_lots)
            if barriers is not None:
                yield from barriers.before(quote)
            yield quote

    def _wishes(self) -> list[Callable[[int], ActionInput]]:
        """Return what creates the planned executors, once every market has a quote."""
        wishes: list[Callable[[int], ActionInput]] = []
        for number, executor in enumerate(self._request.config.executors):
            values = plain(dict(executor))
            arguments = {
                "executor_type": values.pop("type", ""),
                "config": values,
                "controller_id": str(values.pop("controller_id", "main")),
            }
            wishes.append(partial(_creation, f"plan-{number}", arguments))
        return wishes

    def _stop(self, container: SessionContainer, *, keep: bool) -> None:
        """End the executors at the last prices (PF-15)."""
        now_ns = container.clock.now_ns()
        self._give(container, StopInput(now_ns, keep, "plan"))
        for _ in range(STOP_QUOTES):
            if container.is_stopped:
                return
            for quote in list(self._last.values()):
                now_ns += 1
                self._give(container, replace(quote, ts_ns=now_ns, bar_point=BarPoint.INSIDE))
            now_ns += SECOND_NS
            self._give(container, TimerInput(now_ns))
        self._give(container, ForceStopInput(now_ns))

    def _give(self, container: SessionContainer, item: SessionInput) -> None:
        ts_ns, kind, payload = encode(item)
        self._hash.update(JournalEntry("", self._inputs, ts_ns, kind, payload))
        self._inputs += 1
        self._keep(container.apply(item))

    def _keep(self, effects: Effects) -> None:
        if effects.is_empty:
            return
        for fill in effects.fills:
            self._log.fills.append((fill, self._bar_at(fill)))
        self._log.orders.update(effects.orders)
        self._log.archived.extend(effects.archived)
        for request_id, result in effects.results:
            if not result.ok:
                self._log.problems.append(f"{request_id}: {result.message}")
        for notice in effects.notices:
            if notice.level == "error" and len(self._log.problems) < 100:
                self._log.problems.append(notice.text)

    def _bar_at(self, fill: Fill) -> int:
        columns = self._columns[self._symbols[fill.market]]
        bar = int(np.searchsorted(columns.ts_close, fill.ts_ns, side="right"))
        return min(bar, len(columns) - 1)

    # --- tables --------------------------------------------------------------------------------

    def _raw(self, container: SessionContainer, stamps: IntArray, atoms: IntArray) -> RawRun:
        orders = list(self._log.orders.values())
        seq_of = {order.request.client_order_id: index for index, order in enumerate(orders)}
        equity = column_like(stamps, dtype=EQUITY_DTYPE)
        for rows in blocks(len(equity), equity, stamps, atoms):
            part = equity[rows]
            part["ts"], part["equity_atoms"] = stamps[rows], atoms[rows]
            part["cash_atoms"] = container.portfolio.cash_atoms
        fills = _fill_table(self._log.fills, self._symbols, seq_of)
        _mark_exposed(equity, fills, self._columns)
        rejections: Counter[str] = Counter()
        cancellations: Counter[str] = Counter()
        for order in orders:
            reason = order.reason.partition(":")[0]
            if order.status is OrderStatus.REJECTED:
                rejections[reason] += 1
            elif order.status in _CUT_SHORT and reason != ReasonCode.USER:
                cancellations[reason] += 1
        cancelled = self._control.is_cancelled
        return RawRun(
            fills=fills,
            equity=equity,
            orders=_order_table(orders, self._symbols),
            order_notes=tuple(_note(index, order) for index, order in enumerate(orders)),
            rejections=dict(sorted(rejections.items())),
            cancellations=dict(sorted(cancellations.items())),
            status=ResultStatus.CANCELLED if cancelled else ResultStatus.COMPLETED,
            bars_done=sum(len(one) for one in self._columns),
            costs_atoms=-container.portfolio.funding_atoms,
            funding_atoms=-container.portfolio.funding_atoms,
            shortfall_atoms=0,
            final_equity_atoms=container.portfolio.equity_atoms,
            open_marks=tuple(
                container.portfolio.ledgers[one.market].mark_twice // 2 for one in self._instruments
            ),
            engine=self._plan.engine,
            refusals=self._plan.refusals,
            has_half_marks=True,
        )


def _creation(request_id: str, arguments: Mapping[str, Any], ts_ns: int) -> ActionInput:
    return ActionInput(ts_ns, request_id, "plan", "create", arguments)


def _input(item: FeedItem) -> SessionInput:
    return TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item


def _instruments(request: RunRequest) -> list[Instrument]:
    """Return the instruments with a pair that executors can name: BASE-QUOTE."""
    config = request.config
    currency = config.components.portfolio.params.currency
    found = []
    for entry, columns in zip(config.data, request.data.columns, strict=True):
        pair = entry.symbol if "-" in entry.symbol else f"{entry.symbol}-{currency}"
        market = ConnectorPair(entry.connector_name, pair)
        is_hedged = entry.position_mode is PositionMode.HEDGE
        found.append(replace(columns.instrument, market=market, is_hedged=is_hedged))
    return found


def _controllers(request: RunRequest) -> list[Controller]:
    made: list[Controller] = []
    for section in request.config.controllers:
        name = str(section.get("kind", ""))
        kind = find_controller_type(
            name, base_dir=request.base_dir, allow_imports=request.config.allow_imports
        )
        params: Mapping[str, object] = section.get("params") or {}
        try:
            made.append(kind.build(str(section.get("id", name)), params))
        except ValueError as error:
            raise ConfigurationError(f"controllers.{name}: {error}", cause=error) from error
    return made


def _fill_table(
    fills: Sequence[tuple[Fill, int]],
    symbols: Mapping[ConnectorPair, int],
    seq_of: Mapping[str, int],
) -> Table:
    table = np.zeros(len(fills), dtype=FILL_DTYPE)
    for row, (fill, bar) in enumerate(fills):
        role = fill.role.partition(" ")[0]
        table[row] = (
            fill.ts_ns,
            bar,
            seq_of[fill.client_order_id],
            symbols[fill.market],
            fill.side.sign,
            0 if fill.is_maker else 1,
            fill.lots,
            fill.ticks,
            fill.fee_atoms,
            0,
            0,
            FILL_REASONS.index(_REASON.get(role, "ENTRY")),
        )
    return table


def _order_table(orders: Sequence[Order], symbols: Mapping[ConnectorPair, int]) -> Table:
    table = np.zeros(len(orders), dtype=ORDER_DTYPE)
    columns = {
        "seq": list(range(len(orders))),
        "symbol": [symbols[order.request.market] for order in orders],
        "side": [order.request.side.sign for order in orders],
        "type": [int(order.request.limit_ticks is not None) for order in orders],
        "state": [order.status.value for order in orders],
        "lots": [order.request.lots for order in orders],
        "filled_lots": [order.filled_lots for order in orders],
        "filled_atoms": [order.filled_atoms for order in orders],
        "fee_atoms": [order.fee_atoms for order in orders],
        "limit": [
            NO_PRICE if order.request.limit_ticks is None else order.request.limit_ticks
            for order in orders
        ],
        "stop": [NO_PRICE] * len(orders),
        "ts_created": [order.created_ns for order in orders],
        "ts_updated": [order.updated_ns for order in orders],
    }
    for name, values in columns.items():
        table[name] = values
    return table


def _note(seq: int, order: Order) -> Mapping[str, Any]:
    request = order.request
    return {
        "seq": seq,
        "client_id": request.client_order_id,
        "type": request.order_type.name,
        "tif": "GTC",
        "limit": request.limit_ticks,
        "stop": None,
        "reason": order.reason,
        "role": request.role,
        "tag": "",
        "strategy": request.owner_id,
        "parent": None,
        "fee_atoms": order.fee_atoms,
        "reduce_only": request.reduce_only,
    }


def _ends(columns: Sequence[BarColumns]) -> IntArray:
    """Return the ends of all bars, each once."""
    if len(columns) == 1 and is_mapped(columns[0].ts_close):
        return columns[0].ts_close
    return np.unique(np.concatenate([one.ts_close for one in columns]))


def _mark_exposed(equity: Table, fills: Table, columns: Sequence[BarColumns]) -> None:
    """Mark the samples that had a position at any time since the one before."""
    stamps, exposed = equity["ts"], equity["exposed"]
    for symbol in range(len(columns)):
        own = fills[fills["symbol"] == symbol]
        held = np.cumsum(own["side"].astype(np.int64) * own["lots"])
        at = np.minimum(placed(stamps, own["ts"], "right"), len(stamps) - 1)
        for place, position in enumerate(held.tolist()):
            exposed[at[place]] = 1
            if position:
                until = at[place + 1] if place + 1 < len(at) else len(stamps) - 1
                exposed[at[place] : until + 1] = 1
    release_pages(equity)


def _close_types(archived: Sequence[ArchivedExecutor]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in archived:
        close_type = one.executor.close_type
        name = "open" if close_type is None else close_type.name
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
