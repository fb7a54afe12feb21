"""The risk manager of a backtest: the only consumer of signals, the gate of every order.

Pipeline (RISK-1): freshness, symbol, halt, pending guard, target, delta, limits,
rounding. All in whole numbers; limits read the ledger and the working orders of the moment, so
two signals of one instant see each other's orders (RISK-5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.execution.bar_order import (
    OFFSET_NONE,
    ROLE_ENTRY,
    ROLE_EXIT,
    ROLE_STOP_LOSS,
    ROLE_TRAILING,
    BarFill,
    BarOrder,
    Bracket,
)
from engine.model.bar_columns import DAY_NS, BarColumns
from engine.model.instruments import PPB
from engine.model.rates import to_ppb
from engine.risk.bar_exposure import ExposureLimits, Wanted, planned_stop
from engine.risk.bar_facts import AccountFacts, OrderFacts
from engine.risk.bar_limits import BarRiskSettings
from engine.risk.bar_sizers import (
    AllInSizer,
    SizeFunction,
    size_function,
    value_lots,
)
from engine.risk.drawdown import DrawdownWatch, Watch
from engine.risk.sizers import NEEDS_STOP, FixedSizer
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_rows import SignalRow
from engine.strategies.signal_table import NO_PRICE

_DIRECTION: Final = int(KindCode.DIRECTION)
_EXIT: Final = int(KindCode.EXIT)
_ORDER: Final = int(KindCode.ORDER)
_TARGET_QTY: Final = int(KindCode.TARGET_QTY)
_STOP_ROLES: Final = frozenset({ROLE_STOP_LOSS, ROLE_TRAILING})


class Verdict(NamedTuple):
    """An order that may go, or the reason why there is none; neither: nothing is to be done.

    ``note`` says what a limit cut; with ``cancels_entries`` working entries of the symbol are
    cancelled first.
    """

    order: BarOrder | None
    reason: str = ""
    note: str = ""
    cancels_entries: bool = False


NOTHING: Final = Verdict(None)


class BarRiskManager:
    """Turns signals into orders that pass the limits.

    Args:
        settings: sizer and limits.
        columns: the bars of each symbol.
        account: equity and positions.
        orders: what works.
    """

    def __init__(
        self,
        *,
        settings: BarRiskSettings,
        columns: Sequence[BarColumns],
        account: AccountFacts,
        orders: OrderFacts,
    ) -> None:
        self.settings = settings
        self._columns = columns
        self._account = account
        self._orders = orders
        self._scales = [one.instrument.atoms_per_tick_lot for one in columns]
        self._sizes: list[SizeFunction | None] = [
            size_function(settings.sizer, one) for one in columns
        ]
        sizer = settings.sizer
        self._is_fixed = isinstance(sizer, FixedSizer)
        self._all_in_ppb = to_ppb(sizer.weight) if isinstance(sizer, AllInSizer) else 0
        self._limits = ExposureLimits(settings, columns=columns, account=account, orders=orders)
        control = settings.drawdown
        self.watch = None if control is None else DrawdownWatch(control, account.equity)
        self._hours = settings.hours_ns
        self._has_entry_checks = bool(
            settings.allowed_symbols is not None
            or settings.blocked_symbols
            or settings.cooldown_bars
            or settings.exit_memory
            or settings.max_open_positions
            or settings.max_orders_per_bar
            or settings.max_orders_per_day
            or settings.max_daily_loss is not None
            or settings.max_data_age_bars is not None
            or self._hours is not None
        )
        self.needs_fills = bool(settings.cooldown_bars or settings.exit_memory)
        self.needs_sessions = settings.max_daily_loss is not None or (
            control is not None and control.resume.value == "next_session"
        )
        self.rejections: Counter[str] = Counter()
        self._blocked_side = [0] * len(columns)
        self._closed_bar: list[int | None] = [None] * len(columns)
        self._bar_key = (-1, 0)
        self._day_key = (-1, 0)
        self._session_equity = account.equity

    def reset(self) -> None:
        """Return to the state after construction; account and broker are reset before."""
        BarRiskManager.__init__(
            self,
            settings=self.settings,
            columns=self._columns,
            account=self._account,
            orders=self._orders,
        )

    # --- facts that come in --------------------------------------------------------------------

    def observe(self, equity_atoms: int) -> Watch:
        """Take the equity sample of an instant (EVT-4 d)."""
        return Watch.NOTHING if self.watch is None else self.watch.observe(equity_atoms)

    def session_started(self) -> bool:
        """Begin a session; return whether a halt ended with the one before."""
        self._session_equity = self._account.equity
        return self.watch is not None and self.watch.session_started(self._account.equity)

    def on_fill(self, fill: BarFill) -> None:
        """See a fill, for the cooldown and the memory of stops."""
        symbol = fill.symbol
        if self._account.positions[symbol].lots == 0:
            self._closed_bar[symbol] = fill.bar
        if fill.order.role in _STOP_ROLES:
            self._blocked_side[symbol] = -fill.side

    # --- the pipeline --------------------------------------------------------------------------

    def on_signal(
        self, symbol: int, bar: int, row: SignalRow, *, now_ns: int, tag: str = "", owner: str = ""
    ) -> Verdict:
        """Return the order of the signal *row*, given at the close of *bar* of *symbol*."""
        position = self._account.positions[symbol]
        buy, sell = self._orders.working_lots(symbol)
        if row.only_flat and (position.lots or self._orders.books[symbol].orders):
            return NOTHING
        waits = row.kind == _DIRECTION and self.settings.one_pending_per_symbol
        if waits and (buy or sell or self._has_pending_exit(symbol)):
            return self._refuse("PENDING_ORDER")
        if self.settings.exit_memory:
            self._remember(symbol, row)
        if row.kind == _ORDER:
            return self._explicit(symbol, bar, row, now_ns, tag, owner)
        held = position.lots + buy - sell
        if row.kind == _EXIT or not row.value:
            return self._exit(symbol, row, tag, owner, has_entries=bool(buy or sell))
        if row.kind != _TARGET_QTY and not position.has_rate:
            return self._refuse("NO_FX_RATE")
        if row.kind == _DIRECTION and self._all_in_ppb:
            return self._all_in(symbol, bar, row, held, now_ns, tag, owner)
        return self._towards(symbol, bar, row, held, now_ns, tag, owner)

    def _towards(
        self, symbol: int, bar: int, row: SignalRow, held: int, now_ns: int, tag: str, owner: str
    ) -> Verdict:
        target = self._target(symbol, bar, row)
        if target is None:
            return self._refuse("NO_STOP_FOR_SIZER")
        if not target and not held:
            return self._refuse("SIZE_ZERO")
        delta = target - held
        if not delta:
            return NOTHING
        side = 1 if delta > 0 else -1
        order = self._order(symbol, row, side, abs(delta), tag, owner)
        return self._gate(order, bar, now_ns)

    def on_order(self, order: BarOrder, *, bar: int, now_ns: int) -> Verdict:
        """Review an order that no signal made; it keeps its quantity unless a limit clamps it."""
        opening = self._opening(order.symbol, order.side, order.lots)
        if order.reduce_only or not opening:
            return Verdict(order)
        reason = self._entry_problem(order.symbol, order.side, bar, now_ns)
        if reason:
            return self._refuse(reason)
        lots, note, reason = self._cut(order, bar, order.lots, opening)
        if reason:
            return self._refuse(reason)
        order.lots = lots
        return Verdict(order, note=note)

    # --- targets -------------------------------------------------------------------------------

    def _target(self, symbol: int, bar: int, row: SignalRow) -> int | None:
        """Return the signed position that *row* wants; None: the sizer needs a stop."""
        value = row.value
        # Sizes grow with the equity: multiplied before, divided after, nothing is lost.
        rate, per = self._account.positions[symbol].rate
        if row.kind == _TARGET_QTY:
            size = abs(value)
        elif row.kind == _DIRECTION:
            size_of = self._sizes[symbol]
            entry = self._entry_ticks(symbol, row)
            stop = self._stop_ticks(row, entry, value)
            size = size_of(bar, self._account.equity * per, entry, stop) if size_of else 0
            if size == NEEDS_STOP:
                return None
            if not self._is_fixed:
                size //= rate
        else:
            mark = abs(self._account.positions[symbol].mark)
            equity = self._account.equity * per
            size = value_lots(equity, abs(value), mark, self._scales[symbol]) // rate
        if row.strength_ppb != PPB:
            size = size * row.strength_ppb // PPB
        return size if value > 0 else -size

    def _entry_ticks(self, symbol: int, row: SignalRow) -> int:
        if row.limit != NO_PRICE:
            return row.limit
        if row.stop != NO_PRICE:
            return row.stop
        return self._account.positions[symbol].mark

    def _stop_ticks(self, row: SignalRow, entry: int, side: int) -> int | None:
        if row.sl == NO_PRICE:
            return None
        probe = BarOrder(0, 1 if side > 0 else -1, 0, bracket=_bracket(row))
        return planned_stop(probe, entry)

    # --- kinds of orders -----------------------------------------------------------------------

    def _explicit(
        self, symbol: int, bar: int, row: SignalRow, now_ns: int, tag: str, owner: str
    ) -> Verdict:
        order = self._order(symbol, row, row.side, row.value, tag, owner)
        order.size_ppb = row.size_ppb
        if row.reduce_only:
            order.role = ROLE_EXIT
            return Verdict(order)
        if row.value <= 0:
            # Nonsense is the validator's to refuse, unless the fill resolves the size.
            if row.size_ppb:
                reason = self._entry_problem(symbol, row.side, bar, now_ns)
                if reason:
                    return self._refuse(reason)
            return Verdict(order)
        return self._gate(order, bar, now_ns)

    def _exit(
        self, symbol: int, row: SignalRow, tag: str, owner: str, *, has_entries: bool
    ) -> Verdict:
        """Cancel entries and close the whole position.

        Reduce-only, so that another exit that fills first cannot flip the position.
        """
        held = self._account.positions[symbol].lots
        if not held:
            return Verdict(None, cancels_entries=has_entries)
        if self._has_pending_exit(symbol):
            return self._refuse("PENDING_ORDER")
        order = self._order(symbol, row, -1 if held > 0 else 1, abs(held), tag, owner)
        order.bracket = None
        order.role = ROLE_EXIT
        order.reduce_only = True
        return Verdict(order, cancels_entries=has_entries)

    def _all_in(
        self,
        symbol: int,
        bar: int,
        row: SignalRow,
        held: int,
        now_ns: int,
        tag: str,
        owner: str,
    ) -> Verdict:
        side = 1 if row.value > 0 else -1
        if held * side > 0:
            return NOTHING
        reason = self._entry_problem(symbol, side, bar, now_ns)
        if reason:
            return self._refuse(reason)
        order = self._order(symbol, row, side, 0, tag, owner)
        share = self._all_in_ppb * row.strength_ppb // PPB
        if self.watch is not None:
            share = share * self.watch.factor_ppb // PPB
        if share <= 0:
            return self._refuse("SIZE_ZERO")
        order.size_ppb = share
        if self._limits.is_empty:
            return Verdict(order)
        entry = self._entry_ticks(symbol, row)
        rate, per = self._account.positions[symbol].rate
        free = self._account.free_atoms() * per
        guess = value_lots(free, share, entry, self._scales[symbol]) // rate
        lots, note, reason = self._cut(order, bar, guess + abs(held), guess)
        if reason:
            return self._refuse(reason)
        if note:
            order.size_ppb, order.lots = 0, lots
        return Verdict(order, note=note)

    def _gate(self, order: BarOrder, bar: int, now_ns: int) -> Verdict:
        """Take the opening part of *order* through halt, filters, drawdown and limits."""
        opening = self._opening(order.symbol, order.side, order.lots)
        if not opening:
            order.role = ROLE_EXIT
            return Verdict(order)
        reducing = order.lots - opening
        reason = self._entry_problem(order.symbol, order.side, bar, now_ns)
        if reason:
            if reducing and reason == "RISK_HALTED":
                order.lots, order.role, order.reduce_only = reducing, ROLE_EXIT, True
                order.bracket = None
                self.rejections[reason] += 1
                return Verdict(order, note=reason)
            return self._refuse(reason)
        if self.watch is not None and self.watch.factor_ppb != PPB:
            opening = opening * self.watch.factor_ppb // PPB
        lots, note, reason = self._cut(order, bar, reducing + opening, opening)
        if reason:
            return self._refuse(reason)
        order.lots = lots
        return Verdict(order, note=note)

    def _cut(self, order: BarOrder, bar: int, lots: int, opening: int) -> tuple[int, str, str]:
        """Return (lots, note, reason to refuse) after the size limits."""
        if self._limits.is_empty:
            return (lots, "", "") if lots else (0, "", "SIZE_ZERO")
        symbol, side = order.symbol, order.side
        buy, sell = self._orders.working_lots(symbol)
        same = buy if side > 0 else sell
        along = side * self._account.positions[symbol].lots
        entry = order.limit if order.limit is not None else order.stop
        price = self._account.positions[symbol].mark if entry is None else entry
        held = max(0, along) + same
        wanted = Wanted(symbol, bar, side, opening, held, price, planned_stop(order, price))
        cut = self._limits.cut(wanted)
        if cut is None:
            return (lots, "", "") if lots else (0, "", "SIZE_ZERO")
        left = lots - opening + cut.lots
        if cut.rejects or not left:
            return 0, "", cut.code
        return left, f"{lots} lots cut to {left} by {cut.code}", ""

    # --- guards --------------------------------------------------------------------------------

    def _opening(self, symbol: int, side: int, lots: int) -> int:
        """Return the part of *lots* that enlarges the position, working orders included."""
        buy, sell = self._orders.working_lots(symbol)
        along = side * self._account.positions[symbol].lots
        reducible = max(0, -along - (buy if side > 0 else sell))
        return lots - min(lots, reducible)

    def _has_pending_exit(self, symbol: int) -> bool:
        return any(
            order.role == ROLE_EXIT and order.reduce_only and not order.is_child
            for order in self._orders.books[symbol].orders
        )

    def _remember(self, symbol: int, row: SignalRow) -> None:
        """A signal that is not the direction that was stopped out lifts the block."""
        blocked = self._blocked_side[symbol]
        if blocked and (row.kind == _EXIT or row.value * blocked <= 0):
            self._blocked_side[symbol] = 0

    def _entry_problem(self, symbol: int, side: int, bar: int, now_ns: int) -> str:
        """Return why nothing may be opened now, empty if it may."""
        if self.watch is not None and self.watch.is_halted:
            return "RISK_HALTED"
        if not self._has_entry_checks:
            return ""
        return (
            self._filter_problem(symbol, side, bar, now_ns)
            or self._loss_problem()
            or self._count_problem(symbol, now_ns)
        )

    def _filter_problem(self, symbol: int, side: int, bar: int, now_ns: int) -> str:
        settings, name = self.settings, self._columns[symbol].symbol
        allowed = settings.allowed_symbols
        if (allowed is not None and name not in allowed) or name in settings.blocked_symbols:
            return "SYMBOL_NOT_ALLOWED"
        if settings.max_data_age_bars is not None:
            age_ns = now_ns - int(self._columns[symbol].ts_close[bar])
            if age_ns > settings.max_data_age_bars * self._columns[symbol].duration_ns:
                return "STALE_DATA"
        if self._hours is not None:
            moment = now_ns % DAY_NS
            if not any(start <= moment < end for start, end in self._hours):
                return "TRADING_HOURS"
        closed = self._closed_bar[symbol]
        if closed is not None and bar - closed < settings.cooldown_bars:
            return "COOLDOWN"
        if settings.exit_memory and self._blocked_side[symbol] == side:
            return "EXIT_MEMORY"
        return ""

    def _loss_problem(self) -> str:
        limit = self.settings.max_daily_loss
        if limit is None or self._session_equity <= 0:
            return ""
        loss = self._session_equity - self._account.equity
        return "MAX_DAILY_LOSS" if loss * PPB >= to_ppb(limit) * self._session_equity else ""

    def _count_problem(self, symbol: int, now_ns: int) -> str:
        settings = self.settings
        if settings.max_open_positions is not None:
            busy = [
                bool(position.lots) or any(self._orders.working_lots(index))
                for index, position in enumerate(self._account.positions)
            ]
            if not busy[symbol] and sum(busy) >= settings.max_open_positions:
                return "MAX_OPEN_POSITIONS"
        if settings.max_orders_per_bar is not None:
            count = self._bar_key[1] if self._bar_key[0] == now_ns else 0
            if count >= settings.max_orders_per_bar:
                return "MAX_ORDERS_PER_BAR"
            self._bar_key = (now_ns, count + 1)
        if settings.max_orders_per_day is not None:
            day = (now_ns - 1) // DAY_NS
            count = self._day_key[1] if self._day_key[0] == day else 0
            if count >= settings.max_orders_per_day:
                return "MAX_ORDERS_PER_DAY"
            self._day_key = (day, count + 1)
        return ""

    # --- results -------------------------------------------------------------------------------

    def _refuse(self, reason: str) -> Verdict:
        self.rejections[reason] += 1
        return Verdict(None, reason)

    def _order(
        self, symbol: int, row: SignalRow, side: int, lots: int, tag: str, owner: str
    ) -> BarOrder:
        return BarOrder(
            symbol,
            side,
            int(row.order_type),
            lots,
            limit=_price(row.limit),
            stop=_price(row.stop),
            trail_unit=int(row.trail_unit),
            trail_value=0 if row.trail == NO_PRICE else row.trail,
            trail_n=row.trail_n,
            limit_offset=0 if row.limit_offset == NO_PRICE else row.limit_offset,
            activation=_price(row.activation),
            tif=int(row.tif),
            expire_ns=row.expire,
            reduce_only=bool(row.reduce_only),
            post_only=bool(row.post_only),
            oco_group=row.oco_group,
            oco_mode=int(row.oco_mode),
            bracket=_bracket(row),
            role=ROLE_ENTRY,
            owner=owner,
            tag=tag,
        )


def _price(ticks: int) -> int | None:
    return None if ticks == NO_PRICE else ticks


def _bracket(row: SignalRow) -> Bracket | None:
    if row.sl == NO_PRICE and row.tp == NO_PRICE and row.sl_trail == NO_PRICE:
        return None
    return Bracket(
        sl=_price(row.sl),
        tp=_price(row.tp),
        sl_trail_unit=int(row.sl_trail_unit) if row.sl_trail != NO_PRICE else OFFSET_NONE,
        sl_trail_value=0 if row.sl_trail == NO_PRICE else row.sl_trail,
        sl_trail_n=row.sl_trail_n,
        basis=int(row.bracket_basis),
        sl_unit=int(row.sl_unit),
        sl_n=row.sl_n,
        tp_unit=int(row.tp_unit),
        tp_n=row.tp_n,
    )
