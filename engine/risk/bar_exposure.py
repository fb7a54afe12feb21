"""Limits on the size of what an order of a backtest opens (RISK-3), whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from engine.execution.bar_order import BASIS_FILL, OFFSET_ATR, OFFSET_PPB, BarOrder
from engine.model.bar_columns import BarColumns
from engine.model.instruments import PPB
from engine.model.rates import to_ppb
from engine.risk.bar_facts import AccountFacts, OrderFacts, PositionFacts
from engine.risk.bar_limits import SIZE_LIMITS, BarRiskSettings, Limit
from engine.risk.bar_sizers import covariance
from engine.risk.limits import LimitMode

QUANTILE_95: Final = 1.6448536
"""Normal quantile of `max_portfolio_risk`."""
RISK_RETURNS: Final = 60
LEAST_RETURNS: Final = 20
NO_BOUND: Final = 1 << 200


class Wanted(NamedTuple):
    """What an order would do: ``opening`` lots on ``side`` of ``symbol`` after ``reducing`` ones.

    ``held`` is what is held and works on that side without the order, after its reducing part.
    ``entry`` and ``stop`` are ticks, ``bar`` the symbol's bar.
    """

    symbol: int
    bar: int
    side: int
    opening: int
    held: int
    entry: int
    stop: int | None


class Cut(NamedTuple):
    """What a limit leaves of the opening lots, and its name; ``rejects`` if it clamps nothing."""

    lots: int
    code: str
    rejects: bool


class ExposureLimits:
    """All size limits that are configured, in the order of the specification's table."""

    def __init__(
        self,
        settings: BarRiskSettings,
        *,
        columns: Sequence[BarColumns],
        account: AccountFacts,
        orders: OrderFacts,
    ) -> None:
        self._settings = settings
        self._columns = columns
        self._account = account
        self._orders = orders
        self._ppb = {
            name: int(limit.value * PPB)
            for name in BarRiskSettings.model_fields
            if isinstance(limit := getattr(settings, name), Limit)
        }
        self._checks = [
            (name.upper(), getattr(settings, name), getattr(self, f"_{name}"))
            for name in SIZE_LIMITS
            if getattr(settings, name) is not None
        ]

    @property
    def is_empty(self) -> bool:
        """Whether no limit is configured."""
        return not self._checks

    def cut(self, wanted: Wanted) -> Cut | None:
        """Return what the tightest limits leave of *wanted*, None if all of it may go."""
        cut: Cut | None = None
        for code, limit, allowed in self._checks:
            most = max(0, allowed(wanted))
            if most >= wanted.opening:
                continue
            if limit.mode is LimitMode.REJECT:
                return Cut(0, code, rejects=True)
            wanted = wanted._replace(opening=most)
            cut = Cut(most, code, rejects=False)
            if not most:
                return cut
        return cut

    # --- one limit each: the most lots that may be opened ------------------------------------

    def _max_position_size(self, wanted: Wanted) -> int:
        limit = self._settings.max_position_size
        instrument = self._columns[wanted.symbol].instrument
        value = limit.value if limit is not None else Decimal(0)
        return instrument.floor_lots(value) - wanted.held

    def _max_position_pct(self, wanted: Wanted) -> int:
        room = self._share("max_position_pct")
        return room // self._value(wanted) - wanted.held

    def _max_gross_exposure(self, wanted: Wanted) -> int:
        return (self._money("max_gross_exposure") - self._gross(wanted)) // self._value(wanted)

    def _max_leverage(self, wanted: Wanted) -> int:
        return (self._share("max_leverage") - self._gross(wanted)) // self._value(wanted)

    def _max_net_exposure(self, wanted: Wanted) -> int:
        net = wanted.side * wanted.held * self._value(wanted)
        for symbol, position in enumerate(self._account.positions):
            if symbol != wanted.symbol:
                net += position.worth(position.lots, position.mark)
        return (self._money("max_net_exposure") - wanted.side * net) // self._value(wanted)

    def _max_concentration(self, wanted: Wanted) -> int:
        """Own value v of gross g: v / g <= c, so v <= c / (1 - c) * the others' value."""
        share = self._ppb["max_concentration"]
        if share >= PPB:
            return NO_BOUND
        others = self._gross(wanted) - wanted.held * self._value(wanted)
        if others <= 0:
            return NO_BOUND  # the only position is always the whole
        return others * share // (PPB - share) // self._value(wanted) - wanted.held

    def _max_portfolio_heat(self, wanted: Wanted) -> int:
        room = self._share("max_portfolio_heat") - self._heat()
        no_stop = to_ppb(self._settings.no_stop_risk)
        if wanted.stop is None:
            return room * PPB // (self._value(wanted) * no_stop)
        distance = max(0, wanted.side * (wanted.entry - wanted.stop))
        risk = self._account.positions[wanted.symbol].burden(1, distance)
        return NO_BOUND if not risk else room // risk

    def _max_portfolio_risk(self, wanted: Wanted) -> int:
        """The most lots whose value at risk stays within the limit, found by bisection."""
        limit = float(self._ppb["max_portfolio_risk"]) / 1e9
        equity = self._account.equity
        if equity <= 0:
            return 0
        if self._value_at_risk(wanted, wanted.opening) <= limit:
            return wanted.opening
        low, high = 0, wanted.opening
        while high - low > 1:
            middle = (low + high) // 2
            if self._value_at_risk(wanted, middle) <= limit:
                low = middle
            else:
                high = middle
        return low

    # --- parts -------------------------------------------------------------------------------

    def _share(self, name: str) -> int:
        """Return the configured fraction of equity in atoms."""
        return max(0, self._account.equity) * self._ppb[name] // PPB

    def _money(self, name: str) -> int:
        atoms: int = 10 ** self._columns[0].instrument.money_precision
        return self._ppb[name] * atoms // PPB

    def _value(self, wanted: Wanted) -> int:
        """Return the value of one lot of *wanted*, at least one atom."""
        return max(1, self._account.positions[wanted.symbol].burden(1, wanted.entry))

    def _gross(self, wanted: Wanted) -> int:
        """Return the absolute values held and working, after the reducing part."""
        total = wanted.held * self._value(wanted)
        for symbol, position in enumerate(self._account.positions):
            if symbol == wanted.symbol:
                continue
            buy, sell = self._orders.working_lots(symbol)
            lots = max(abs(position.lots + buy), abs(position.lots - sell))
            total += position.burden(lots, position.mark)
        return total

    def _heat(self) -> int:
        """Return the risk of what is held and of entries that work, in atoms."""
        no_stop = to_ppb(self._settings.no_stop_risk)
        heat = 0
        for symbol, position in enumerate(self._account.positions):
            if position.lots:
                stop = self._orders.nearest_stop(symbol)
                if stop is None:
                    heat += position.burden(position.lots, position.mark) * no_stop // PPB
                else:
                    side = 1 if position.lots > 0 else -1
                    heat += position.burden(position.lots, max(0, side * (position.mark - stop)))
            for order in self._orders.books[symbol].orders:
                if order.reduce_only or order.is_child or order.is_dormant:
                    continue
                heat += _order_risk(order, position, no_stop)
        return heat

    def _value_at_risk(self, wanted: Wanted, opening: int) -> float:
        """Return 1.6448536 * sqrt(w' S w); with too few returns gross * default_vol."""
        equity = float(self._account.equity)
        weights = []
        for symbol, position in enumerate(self._account.positions):
            value = float(position.worth(position.lots, position.mark))
            if symbol == wanted.symbol:
                lots = wanted.side * (wanted.held + opening)
                value = float(position.worth(lots, abs(wanted.entry)))
            weights.append(value / equity)
        returns = self._returns(wanted)
        if returns is None:
            return sum(abs(one) for one in weights) * float(self._settings.default_vol)
        matrix = covariance(returns)
        variance = 0.0
        for i, one in enumerate(weights):
            for j, other in enumerate(weights):
                variance += one * other * matrix[i][j]
        return QUANTILE_95 * sqrt(max(0.0, variance))

    def _returns(self, wanted: Wanted) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
        """Return the last bar returns of all symbols up to the bar of *wanted*, None if few."""
        until = self._columns[wanted.symbol].ts_close[wanted.bar]
        columns = []
        for one in self._columns:
            known = one.closes_by(int(until))
            closes = one.close[max(0, known - RISK_RETURNS - 1) : known].astype(np.float64)
            columns.append(closes[1:] / closes[:-1] - 1.0 if len(closes) > 1 else closes[:0])
        length = min(len(one) for one in columns)
        if length < LEAST_RETURNS:
            return None
        return np.stack([one[len(one) - length :] for one in columns], axis=1)


def _order_risk(order: BarOrder, position: PositionFacts, no_stop: int) -> int:
    entry = order.limit if order.limit is not None else order.stop
    price = position.mark if entry is None else entry
    stop = planned_stop(order, price)
    if stop is None:
        return position.burden(order.remaining, price) * no_stop // PPB
    return position.burden(order.remaining, max(0, order.side * (price - stop)))


def planned_stop(order: BarOrder, entry: int) -> int | None:
    """Return the stop in ticks that *order*'s bracket would place after a fill at *entry*."""
    bracket = order.bracket
    if bracket is None or bracket.sl is None:
        return None
    if bracket.basis == BASIS_FILL and bracket.sl_unit == OFFSET_ATR:
        return None  # known only when the order arrives: counted as without a stop
    if bracket.basis != BASIS_FILL:
        return bracket.sl
    offset = bracket.sl
    if bracket.sl_unit == OFFSET_PPB:
        offset = -(-abs(entry) * bracket.sl // PPB)
    return entry - order.side * offset
