"""Round trips from fills, exact to the atom (PF-7, COORD-7)."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.model.bar_columns import BarColumns, FloatArray, IntArray, blocks
from engine.model.market_events import CorporateAction, CorporateActionKind
from engine.model.rounding import half_even_div
from engine.model.run_tables import Table

TradeMatching: TypeAlias = Literal["fifo", "average", "flat"]

TRADE_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("side", "<i1"),
        ("lots", "<i8"),
        ("entry_bar", "<i8"),
        ("exit_bar", "<i8"),
        ("entry_ts", "<i8"),
        ("exit_ts", "<i8"),
        ("entry_atoms", "<i8"),
        ("exit_atoms", "<i8"),
        ("gross_atoms", "<i8"),
        ("fees_atoms", "<i8"),
        ("pnl_atoms", "<i8"),
        ("bars_held", "<i8"),
        ("mae_atoms", "<i8"),
        ("mfe_atoms", "<i8"),
        ("entry_seq", "<u4"),
        ("exit_seq", "<u4"),
        ("exit_reason", "<u1"),
    ]
)
"""Round trips in the order of their exits.

``side`` is +1 for a long trade. ``entry_atoms`` and ``exit_atoms`` are notionals, so the price of
the entry is ``entry_atoms / (lots * atoms_per_tick_lot)`` ticks. ``pnl_atoms`` is gross minus
fees. ``mae_atoms`` (at most 0) and ``mfe_atoms`` (at least 0) are the worst and best gross result
on the way: prices of entry and exit, and the ranges of the bars that were held from their open
point to their end. ``exit_reason`` counts in `FILL_REASONS`."""


_NAMES: Final = TRADE_DTYPE.names or ()
_WIDTH: Final = len(_NAMES)
_FILLS_AT_ONCE: Final = 4096
_TRADES_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class OpenLots:
    """What is still open of one symbol after the last fill.

    ``lots`` is signed, ``entry_atoms`` is the notional paid for it, ``fees_atoms`` the fees of its
    entries, which belong to no trade yet.
    """

    symbol: int
    lots: int
    entry_atoms: int
    fees_atoms: int


@dataclass(frozen=True, slots=True, eq=False)
class TradeLog:
    """Closed round trips and what is still open."""

    trades: Table
    open_lots: tuple[OpenLots, ...] = ()
    cashed_atoms: int = 0
    """Gross result of the fractions that splits cashed; no trade has it."""

    @property
    def returns(self) -> FloatArray:
        """Return the net result of each trade as a fraction of its entry value."""
        return trade_returns(self.trades)


def trade_returns(trades: Table) -> FloatArray:
    """Return pnl / entry value of each trade; 0 where the entry had no value."""
    pnl = trades["pnl_atoms"].astype(np.float64)
    entry = np.abs(trades["entry_atoms"].astype(np.float64))
    return np.divide(pnl, entry, out=np.zeros_like(pnl), where=entry > 0)


@dataclass(slots=True)
class _Fill:
    """A fill while it is matched: what is left of its lots and of its fee."""

    bar: int
    ts: int
    seq: int
    reason: int
    side: int
    atoms: int
    lots: int
    fee: int
    quote: int = 0
    """Notional in the instrument's currency, 0 if it is the account's; `take` leaves it whole."""
    value: int = 0
    """Notional of the whole fill in the account's currency, if that differs."""

    @property
    def rate(self) -> float:
        """Return account currency for one unit of the instrument's."""
        return self.value / self.quote if self.quote else 1.0

    def take(self, lots: int) -> tuple[int, int]:
        """Take *lots* off; return their share of notional and fee, the last get what is left."""
        atoms = half_even_div(self.atoms * lots, self.lots)
        fee = half_even_div(self.fee * lots, self.lots)
        self.lots -= lots
        self.atoms -= atoms
        self.fee -= fee
        return atoms, fee


class _Book:
    """The position of one symbol, and the trades that close it."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int) -> None:
        self.symbol = symbol
        self.scale = atoms_per_tick_lot
        self.trades = array("q")
        """Rows of `TRADE_DTYPE`, one number after the other."""
        self.cashed = 0
        self.rates = array("d")
        """Account currency for one unit of the instrument's at each trade's entry."""

    def _trade(
        self, entry: _Fill, exit_: _Fill, lots: int, entry_atoms: int, exit_atoms: int, fees: int
    ) -> None:
        gross = entry.side * (exit_atoms - entry_atoms)
        self.rates.append(entry.rate)
        self.trades.extend(
            (
                self.symbol,
                entry.side,
                lots,
                entry.bar,
                exit_.bar,
                entry.ts,
                exit_.ts,
                entry_atoms,
                exit_atoms,
                gross,
                fees,
                gross - fees,
                exit_.bar - entry.bar,
                0,
                0,
                entry.seq,
                exit_.seq,
                exit_.reason,
            )
        )

    def apply(self, fill: _Fill) -> None:
        raise NotImplementedError

    def split(self, new: int, old: int, mark: int) -> None:
        """Turn *old* lots into *new* ones; a fraction of a lot is cashed at *mark* (PF-10)."""
        raise NotImplementedError

    def open_lots(self) -> OpenLots:
        raise NotImplementedError

    def _cash(self, side: int, lots: int, cost: int, rest: int, new: int, mark: int) -> int:
        """Cash *rest* / *new* of a lot of a position; return the cost that goes with it."""
        if not rest:
            return 0
        removed = half_even_div(cost * rest, lots * new)
        self.cashed += side * rest * mark * self.scale // new - side * removed
        return removed


class _Fifo(_Book):
    """Entry lots are consumed in the order in which they came."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int) -> None:
        super().__init__(symbol, atoms_per_tick_lot)
        self._open: deque[_Fill] = deque()

    def apply(self, fill: _Fill) -> None:
        opened = self._open
        while fill.lots and opened and opened[0].side != fill.side:
            entry = opened[0]
            lots = min(entry.lots, fill.lots)
            entry_atoms, entry_fee = entry.take(lots)
            exit_atoms, exit_fee = fill.take(lots)
            self._trade(entry, fill, lots, entry_atoms, exit_atoms, entry_fee + exit_fee)
            if not entry.lots:
                opened.popleft()
        if fill.lots:
            opened.append(fill)

    def split(self, new: int, old: int, mark: int) -> None:
        if not self._open:
            return
        side, lots = self._open[0].side, sum(one.lots for one in self._open)
        whole, rest = divmod(lots * new, old)
        cost = sum(one.atoms for one in self._open)
        removed = self._cash(side, lots, cost, rest, new, mark) if whole else 0
        if not whole:
            self.cashed += side * rest * mark * self.scale // new - side * cost
            self.cashed -= sum(one.fee for one in self._open)
            self._open.clear()
            return
        before = after = 0
        kept: deque[_Fill] = deque()
        for one in self._open:
            before += one.lots
            one.lots = before * new // old - after
            after += one.lots
            if one.lots or not kept:
                kept.append(one)
            else:
                kept[-1].atoms += one.atoms
                kept[-1].fee += one.fee
        if not kept[0].lots:  # its value goes to the first that is left
            none = kept.popleft()
            kept[0].atoms += none.atoms
            kept[0].fee += none.fee
        kept[-1].atoms -= removed
        self._open = kept

    def open_lots(self) -> OpenLots:
        return OpenLots(
            self.symbol,
            sum(one.side * one.lots for one in self._open),
            sum(one.atoms for one in self._open),
            sum(one.fee for one in self._open),
        )


class _Pooled(_Book):
    """One position with its cost; every exit (average) or only the last one (flat) is a trade."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int, *, is_flat: bool) -> None:
        super().__init__(symbol, atoms_per_tick_lot)
        self._is_flat = is_flat
        self._first: _Fill | None = None
        self._lots = self._cost = self._fees = 0
        self._entered = self._entry_atoms = self._exit_atoms = self._all_fees = 0

    def apply(self, fill: _Fill) -> None:
        if self._first is not None and self._first.side != fill.side:
            self._reduce(self._first, fill, min(self._lots, fill.lots))
        if fill.lots:
            self._enter(fill)

    def _enter(self, fill: _Fill) -> None:
        if self._first is None:
            self._first = fill
            self._entered = self._entry_atoms = self._exit_atoms = self._all_fees = 0
        self._lots += fill.lots
        self._cost += fill.atoms
        self._fees += fill.fee
        self._entered += fill.lots
        self._entry_atoms += fill.atoms
        self._all_fees += fill.fee

    def _reduce(self, first: _Fill, fill: _Fill, lots: int) -> None:
        removed = half_even_div(self._cost * lots, self._lots)
        fees = half_even_div(self._fees * lots, self._lots)
        exit_atoms, exit_fee = fill.take(lots)
        self._lots -= lots
        self._cost -= removed
        self._fees -= fees
        self._exit_atoms += exit_atoms
        self._all_fees += exit_fee
        if not self._is_flat:
            self._trade(first, fill, lots, removed, exit_atoms, fees + exit_fee)
        elif not self._lots:
            self._trade(
                first, fill, self._entered, self._entry_atoms, self._exit_atoms, self._all_fees
            )
        if not self._lots:
            self._first = None

    def split(self, new: int, old: int, mark: int) -> None:
        if self._first is None:
            return
        side = self._first.side
        whole, rest = divmod(self._lots * new, old)
        if not whole:
            cost, fees = self._cost, self._fees
            if self._is_flat:
                cost, fees = self._entry_atoms - self._exit_atoms, self._all_fees
            self.cashed += side * rest * mark * self.scale // new - side * cost - fees
            self._lots = self._cost = self._fees = 0
            self._first = None
            return
        removed = self._cash(side, self._lots, self._cost, rest, new, mark)
        self._lots = whole
        self._cost -= removed
        self._entered = max(1, self._entered * new // old)
        self._entry_atoms -= removed

    def open_lots(self) -> OpenLots:
        if self._first is None:
            return OpenLots(self.symbol, 0, 0, 0)
        side = self._first.side
        if self._is_flat:  # what was already sold of the trade is still part of it
            return OpenLots(
                self.symbol,
                side * self._lots,
                self._entry_atoms - self._exit_atoms,
                self._all_fees,
            )
        return OpenLots(self.symbol, side * self._lots, self._cost, self._fees)


def build_trades(
    fills: Table,
    bars: Sequence[BarColumns],
    *,
    matching: TradeMatching = "fifo",
    actions: Mapping[int, Sequence[CorporateAction]] | None = None,
    values: IntArray | None = None,
    quote_values: IntArray | None = None,
) -> TradeLog:
    """Return the round trips of *fills*.

    ``fifo`` consumes entry lots first in, first out; ``average`` closes at the average cost (PF-2);
    ``flat`` makes one trade from flat to flat. Fees of entries and exits are shared by quantity,
    half to even, the last lots get what is left, so no atom is lost.

    Args:
        fills: a table of `FILL_DTYPE` in match order.
        bars: the columns of each symbol, for scales and excursions.
        matching: how exits find their entries.
        actions: corporate actions by symbol; a split takes effect before the first bar that opens
            at or after it, and scales what is open.
        values: notional of each fill in the account's currency, if instruments are quoted in
            others; notionals and results of trades are then in the account's currency, excursions
            at the rate of the entry.
        quote_values: notional of each fill in the instrument's own currency, with *values*.
    """
    make = _BOOKS[matching]
    books = [make(symbol, one.instrument.atoms_per_tick_lot) for symbol, one in enumerate(bars)]
    splits = [_Splits(one, (actions or {}).get(symbol, ())) for symbol, one in enumerate(bars)]
    exits = array("q")
    rows = enumerate(_fill_rows(fills))
    for number, (symbol, bar, ts, seq, reason, side, ticks, lots, fee) in rows:
        book = books[symbol]
        before = len(book.trades)
        splits[symbol].apply_until(bar, book)
        atoms = ticks * lots * book.scale
        fill = _Fill(bar, ts, seq, reason, side, atoms, lots, fee)
        if values is not None and quote_values is not None:
            fill.atoms = fill.value = int(values[number])
            fill.quote = int(quote_values[number])
        book.apply(fill)
        exits.extend([symbol] * ((len(book.trades) - before) // _WIDTH))
    trades = _table(books, np.array(exits, dtype=np.int64))
    for symbol, one in enumerate(bars):
        chosen = np.flatnonzero(trades["symbol"] == symbol)
        if len(chosen):
            rates = np.array(books[symbol].rates) if values is not None else None
            columns = (one.ts_open, one.ts_close, one.low, one.high)
            for part in blocks(len(chosen), *columns, rows=_TRADES_AT_ONCE):
                at = chosen[part]
                trades["mae_atoms"][at], trades["mfe_atoms"][at] = _excursions(
                    trades[at], one, splits[symbol].bars, None if rates is None else rates[part]
                )
        splits[symbol].apply_until(len(one), books[symbol])
    opened = tuple(left for book in books if (left := book.open_lots()).lots)
    return TradeLog(trades, opened, sum(book.cashed for book in books))


def _fill_rows(fills: Table) -> Iterator[tuple[int, ...]]:
    """Yield what matching needs of each fill, a few thousand rows in memory at a time."""
    names = ("symbol", "bar", "ts", "order_seq", "reason", "side", "ticks", "lots", "fee_atoms")
    for start in range(0, len(fills), _FILLS_AT_ONCE):
        part = fills[start : start + _FILLS_AT_ONCE]
        yield from zip(*(part[name].tolist() for name in names), strict=True)


def _table(books: Sequence[_Book], symbols: IntArray) -> Table:
    """Return the rows of all *books* in the order of exits, of which *symbols* are the books."""
    trades = np.zeros(len(symbols), dtype=TRADE_DTYPE)
    for symbol, book in enumerate(books):
        rows = np.frombuffer(book.trades, dtype=np.int64).reshape(-1, _WIDTH)
        places = np.flatnonzero(symbols == symbol)
        for column, name in enumerate(_NAMES):
            trades[name][places] = rows[:, column]
    return trades


class _Splits:
    """The splits of one symbol, each at the bar before which it takes effect."""

    def __init__(self, bars: BarColumns, actions: Sequence[CorporateAction]) -> None:
        self._bars = bars
        self._due = [
            (int(np.searchsorted(bars.ts_open, one.ts_ns)), one.ratio_num, one.ratio_den)
            for one in sorted(actions, key=lambda one: one.ts_ns)
            if one.kind is CorporateActionKind.SPLIT
        ]
        self._next = 0
        self.bars = np.array([bar for bar, _, _ in self._due], dtype=np.int64)
        self._last_bar = -1
        self._mark = 0

    def apply_until(self, bar: int, book: _Book) -> None:
        """Scale *book* by the splits that take effect at *bar* or before."""
        while self._next < len(self._due) and self._due[self._next][0] <= min(
            bar, len(self._bars) - 1
        ):
            place, new, old = self._due[self._next]
            self._next += 1
            if place != self._last_bar:
                self._last_bar, self._mark = place, int(self._bars.close[max(0, place - 1)])
            book.split(new, old, self._mark)
            self._mark = half_even_div(self._mark * old, new)


_BOOKS: Final[dict[str, Callable[[int, int], _Book]]] = {
    "fifo": _Fifo,
    "average": lambda symbol, scale: _Pooled(symbol, scale, is_flat=False),
    "flat": lambda symbol, scale: _Pooled(symbol, scale, is_flat=True),
}


def _excursions(
    trades: Table, bars: BarColumns, split_bars: IntArray, rates: FloatArray | None = None
) -> tuple[IntArray, IntArray]:
    """Return (mae, mfe) of trades of one symbol; bars before a split are in other units."""
    entry_bar, exit_bar = trades["entry_bar"], trades["exit_bar"]
    first = entry_bar + (trades["entry_ts"] > bars.ts_open[entry_bar])
    if len(split_bars):
        last_split = np.searchsorted(split_bars, exit_bar, side="right") - 1
        first = np.maximum(first, np.where(last_split >= 0, split_bars[last_split], 0))
    stop = exit_bar + (trades["exit_ts"] >= bars.ts_close[exit_bar])
    worth = trades["lots"] * bars.instrument.atoms_per_tick_lot
    side = trades["side"].astype(np.int64)
    ends = np.minimum(0, trades["gross_atoms"]), np.maximum(0, trades["gross_atoms"])
    has_bars = stop > first
    lows = _range_reduce(np.minimum, bars.low, first, stop, has_bars)
    highs = _range_reduce(np.maximum, bars.high, first, stop, has_bars)
    low_worth, high_worth = lows * worth, highs * worth
    if rates is not None:
        low_worth = np.rint(low_worth * rates).astype(np.int64)
        high_worth = np.rint(high_worth * rates).astype(np.int64)
    at_low = side * (low_worth - trades["entry_atoms"])
    at_high = side * (high_worth - trades["entry_atoms"])
    worst = np.where(has_bars, np.minimum(at_low, at_high), 0)
    best = np.where(has_bars, np.maximum(at_low, at_high), 0)
    return np.minimum(ends[0], worst), np.maximum(ends[1], best)


def _range_reduce(
    reduce: np.ufunc, values: IntArray, first: IntArray, stop: IntArray, is_used: IntArray
) -> IntArray:
    """Return the reduction of ``values[first:stop]`` for each pair, 0 where it is not used."""
    result = np.zeros(len(first), dtype=np.int64)
    used = np.flatnonzero(is_used)
    if len(used):
        # `reduceat` takes pairs of indices that exist: the odd results, between the ranges, are
        # thrown away, and ranges up to the end get their last value afterwards.
        values = values[: int(stop[used].max()) + 1]
        last = len(values) - 1
        pairs = np.column_stack((first[used], np.minimum(stop[used], last))).ravel()
        found = reduce.reduceat(values, pairs)[::2]
        result[used] = np.where(stop[used] > last, reduce(found, values[last]), found)
    return result


def open_pnl_atoms(
    open_lots: Sequence[OpenLots],
    marks: Sequence[int],
    bars: Sequence[BarColumns],
    *,
    worth: Sequence[int] | None = None,
) -> int:
    """Return the gross result of what is open at the last *marks* (ticks by symbol).

    *worth* has what each symbol's position is worth, signed, instead, where marks do not say it.
    """
    if worth is not None:
        return sum(
            worth[one.symbol] - (one.entry_atoms if one.lots > 0 else -one.entry_atoms)
            for one in open_lots
        )
    total = 0
    for one in open_lots:
        value = abs(one.lots) * marks[one.symbol] * bars[one.symbol].instrument.atoms_per_tick_lot
        sign = 1 if one.lots > 0 else -1
        total += sign * (value - one.entry_atoms)
    return total


def consistency_gap(
    log: TradeLog, *, equity_change_atoms: int, open_pnl: int, other_atoms: int = 0
) -> int:
    """Return by how many atoms the trades fail to explain the equity; 0 is consistent (COORD-7).

    Sum of trade pnl + open pnl - unmatched costs = equity change. The unmatched costs are the fees
    of what is open and *other_atoms*: funding, borrow and negative interest paid, less dividends.
    """
    realised: int = sum(log.trades["pnl_atoms"].tolist())
    unmatched = sum(one.fees_atoms for one in log.open_lots) + other_atoms
    return equity_change_atoms - (realised + log.cashed_atoms + open_pnl - unmatched)
