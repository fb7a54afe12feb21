"""What a grid reports and shows beyond the common fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, Self

from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.fill_ledger import to_decimal
from engine.executors.grid_config import GridExecutorConfig
from engine.executors.grid_level import GridLevel, GridLevelStates
from engine.executors.grid_metrics import GridFigures
from engine.executors.held_order import HeldOrder
from engine.executors.snapshot import BarrierPrice, ExecutorSnapshot
from engine.executors.status import RunnableStatus
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A level as it is shown: where it opens, where it closes, its state."""

    ticks: int
    target_ticks: int
    state: GridLevelStates


@dataclass(frozen=True, slots=True)
class GridSnapshot(ExecutorSnapshot):
    """State of a grid. Its marks are mids (2.2); prices of barriers are in half ticks."""

    figures: GridFigures
    frozen_mid_half_ticks: int | None
    rows: tuple[LevelRow, ...]
    lines: tuple[tuple[str, int, str], ...]
    """Kind, mid in half ticks and note of each barrier."""

    @property
    def is_trading(self) -> bool:
        """Whether it runs with something open (5.5)."""
        return self.status is RunnableStatus.RUNNING and self.figures.part.lots > 0

    @property
    def opened_lots(self) -> int:
        """Return what is open; at the end what was opened in all round trips."""
        return self.totals.opened_lots if self.is_done else self.figures.part.lots

    @property
    def exited_lots(self) -> int:
        """Return what left again of ``opened_lots``."""
        return self.totals.exit_lots if self.is_done else 0

    def mark_of(self, quote: QuoteTick | None) -> int | None:
        """Return the mid, rounded down to a tick."""
        return None if quote is None else (quote.bid_ticks + quote.ask_ticks) // 2

    @property
    def is_linear(self) -> bool:
        """Whether nothing has to be rounded at any mid."""
        is_whole = self.instrument.atoms_per_tick_lot % 2 == 0
        return is_whole and not self.totals.entry_fee_lots

    def exact_mark(self, quote: QuoteTick | None) -> int | None:
        """Return bid plus ask."""
        return None if quote is None else quote.bid_ticks + quote.ask_ticks

    def net_at(self, exact_mark: int | None) -> int:
        """Return the net PnL in atoms at bid plus ask."""
        return self.net_at_mid(exact_mark)

    def net_pnl_atoms(self, mark_ticks: int | None) -> int:
        """Return open plus realized PnL at the mid."""
        return self.net_at_mid(None if mark_ticks is None else 2 * mark_ticks)

    def net_pnl_pct(self, mark_ticks: int | None) -> Decimal:
        """Return the net PnL as a fraction of the filled volume."""
        return self.pct_of(self.net_pnl_atoms(mark_ticks))

    def net_return(self, mark_ticks: int | None) -> float:
        """Return ``net_pnl_pct`` as the nearest float."""
        return float(self.net_pnl_pct(mark_ticks))

    def net_at_mid(self, mid_half_ticks: int | None) -> int:
        """Return the net PnL in atoms at bid plus ask."""
        if self.is_handed_over:
            return 0
        mid = self.frozen_mid_half_ticks if self.is_done else mid_half_ticks
        return self.figures.net_atoms(mid)

    def pct_of(self, net_atoms: int) -> Decimal:
        """Return *net_atoms* as a fraction of the filled volume, 0 without one."""
        filled = self.filled_atoms
        return Decimal(net_atoms) / Decimal(filled) if filled else Decimal(0)

    def barriers(self, mark_ticks: int | None) -> tuple[BarrierPrice, ...]:
        """Return the levels and the barriers that can still fire."""
        return () if self.is_done else tuple(self._barriers(mark_ticks))

    def _barriers(self, mark_ticks: int | None) -> Iterator[BarrierPrice]:
        tick = self.instrument.tick
        for row in self.rows:
            is_open = row.state in {
                GridLevelStates.OPEN_ORDER_FILLED,
                GridLevelStates.CLOSE_ORDER_PLACED,
            }
            ticks = row.target_ticks if is_open else row.ticks
            note = row.state.name.lower().replace("_", " ")
            yield self._row("level", tick * ticks, mark_ticks, note)
        for kind, half_ticks, note in self.lines:
            yield self._row(kind, tick * half_ticks / 2, mark_ticks, note)
        if self.end_ns is not None:
            yield BarrierPrice("time_limit", None, None, self.end_ns)

    def _row(self, kind: str, price: Decimal, mark_ticks: int | None, note: str) -> BarrierPrice:
        distance = None
        if mark_ticks:
            mark = self.instrument.price(mark_ticks)
            distance = (price - mark) / mark
        match kind:
            case "stop_loss" | "take_profit" | "trailing_stop" | "level":
                return BarrierPrice(kind, price, distance, None, note)
            case _:
                raise ValueError(f"a grid has no barrier {kind!r}")


class GridPosition(Protocol):
    """What the info reads of a grid."""

    side: TradeType

    @property
    def config(self) -> GridExecutorConfig: ...
    @property
    def mid_half_ticks(self) -> int | None: ...
    @property
    def grid_levels(self) -> tuple[GridLevel, ...]: ...
    @property
    def filled_orders(self) -> tuple[HeldOrder, ...]: ...
    @property
    def ended_ids(self) -> tuple[tuple[str, ...], tuple[str, ...]]: ...
    @property
    def held_position_orders(self) -> tuple[HeldOrder, ...]: ...
    def snapshot(self) -> GridSnapshot: ...


@dataclass(frozen=True, slots=True)
class GridCustomInfo(CustomInfo):
    """What a grid reports. Money in quote, ``*_pct`` fractions, times in seconds.

    Lists of orders and fills hold the newest ones only.
    """

    level_id: str | None
    levels_by_state: Mapping[str, int]
    filled_orders: tuple[Mapping[str, object], ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    held_position_value: Decimal
    failed_orders: tuple[str, ...]
    canceled_orders: tuple[str, ...]
    realized_buy_size_quote: Decimal
    realized_sell_size_quote: Decimal
    realized_imbalance_quote: Decimal
    realized_fees_quote: Decimal
    realized_pnl_quote: Decimal
    realized_pnl_pct: Decimal
    position_size_quote: Decimal
    position_fees_quote: Decimal
    position_pnl_quote: Decimal
    position_pnl_pct: Decimal
    current_position_average_price: Decimal | None
    open_liquidity_placed: Decimal
    close_liquidity_placed: Decimal
    grid_level_prices: tuple[Decimal, ...]
    grid_tp_prices: tuple[Decimal, ...]
    grid_side: str
    grid_limit_price: Decimal
    fill_events: tuple[Mapping[str, object], ...]
    trailing_stop_trigger_pct: Decimal | None
    end_time: float | None
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: GridPosition) -> Self:
        """Build the info of *executor*."""
        snapshot, config, levels = executor.snapshot(), executor.config, executor.grid_levels
        instrument, figures = snapshot.instrument, snapshot.figures
        unit = Decimal(1).scaleb(-instrument.money_precision)
        k, sign, part = instrument.atoms_per_tick_lot, executor.side.sign, figures.part
        is_buy = executor.side is TradeType.BUY

        def money(atoms: Fraction) -> Decimal:
            return to_decimal(atoms) * unit

        mid = executor.mid_half_ticks
        pnl = Fraction(0) if mid is None else part.pnl_atoms(mid, sign, k)
        entered, exited = figures.realized_entry_atoms, Fraction(figures.totals.exit_atoms)
        bought, sold = (entered, exited) if is_buy else (exited, entered)
        orders = executor.filled_orders
        held = executor.held_position_orders
        failed, cancelled = executor.ended_ids
        average = part.cost_atoms / (part.lots * k) if part.lots else None
        states = [level.state.name for level in levels]
        return cls(
            side=executor.side,
            level_id=config.level_id,
            levels_by_state={state.name: states.count(state.name) for state in GridLevelStates},
            filled_orders=tuple(order.to_dict(instrument) for order in orders),
            held_position_orders=tuple(order.to_dict(instrument) for order in held),
            held_position_value=instrument.money(sum(order.atoms for order in held)),
            failed_orders=failed,
            canceled_orders=cancelled,
            realized_buy_size_quote=money(bought),
            realized_sell_size_quote=money(sold),
            realized_imbalance_quote=money(bought - sold),
            realized_fees_quote=money(figures.realized_fee_atoms),
            realized_pnl_quote=money(figures.realized_atoms),
            realized_pnl_pct=to_decimal(figures.realized_atoms / entered)
            if entered
            else Decimal(0),
            position_size_quote=money(part.cost_atoms),
            position_fees_quote=money(part.fee_atoms),
            position_pnl_quote=money(pnl),
            position_pnl_pct=to_decimal(pnl / part.cost_atoms) if part.cost_atoms else Decimal(0),
            current_position_average_price=None
            if average is None
            else instrument.tick * to_decimal(average),
            open_liquidity_placed=_liquidity(levels, snapshot, is_entry=True),
            close_liquidity_placed=_liquidity(levels, snapshot, is_entry=False),
            grid_level_prices=tuple(instrument.price(level.plan.ticks) for level in levels),
            grid_tp_prices=tuple(instrument.price(level.target_ticks) for level in levels),
            grid_side=executor.side.name,
            grid_limit_price=config.limit_price,
            fill_events=tuple(
                {
                    "client_order_id": fill.client_order_id,
                    "side": fill.side.name,
                    "price": instrument.price(fill.ticks),
                    "amount": instrument.qty(fill.lots),
                    "timestamp": ns_to_seconds(fill.ts_ns),
                }
                for order in orders
                for fill in order.fills
            ),
            trailing_stop_trigger_pct=None
            if snapshot.trailing_trigger_pct is None
            else to_decimal(snapshot.trailing_trigger_pct),
            end_time=None if snapshot.end_ns is None else ns_to_seconds(snapshot.end_ns),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            stale_price=snapshot.is_stale,
            residual_amount_base=instrument.qty(figures.totals.residual_lots),
        )


def _liquidity(
    levels: tuple[GridLevel, ...], snapshot: ExecutorSnapshot, *, is_entry: bool
) -> Decimal:
    """Return what the working orders of the levels have yet to fill, in quote."""
    instrument = snapshot.instrument
    orders = [level.entry if is_entry else level.exit for level in levels]
    return instrument.money(
        sum(
            instrument.notional_atoms(order.request.limit_ticks or 0, order.pending_lots)
            for order in orders
            if order is not None
        )
    )
