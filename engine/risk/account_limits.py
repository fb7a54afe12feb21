"""Limits of a session that look at the whole account: exposures, counts, hours, losses (RISK-3).

They mean what they mean in a backtest of bars. An executor's stop is no order, so
`max_portfolio_heat` counts what executors hold as holdings without a stop.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from engine.model.clock import SECOND_NS
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick
from engine.model.rates import to_ppb
from engine.risk.exposure import Exposure
from engine.risk.facts import AccountFacts, WorkingOrders
from engine.risk.limits import RiskSettings
from engine.risk.size_limits import SizeAnswer, SizeGrant, cut_size, number
from engine.risk.verdicts import DenialCode, Objection

DAY_NS: Final = 86_400 * SECOND_NS
NO_BOUND: Final = 1 << 200


class AllMarkets(Protocol):
    """The markets of the session."""

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """All of them."""
        ...

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*."""
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        ...


class Opening(NamedTuple):
    """What an order opens: ``held`` lots are held and work on its side, ``value`` is one lot's."""

    market: ConnectorPair
    sign: int
    held: int
    value: int


class AccountLimits:
    """Everything of the section that needs more than the market of the order.

    Args:
        settings: the limits.
        markets: instruments and newest quotes of all markets.
        account: equity and positions.
        orders: what is working.
        bar_ns: length of a bar, for `max_orders_per_bar` and `cooldown_bars`.
    """

    def __init__(
        self,
        *,
        settings: RiskSettings,
        markets: AllMarkets,
        account: AccountFacts,
        orders: WorkingOrders,
        bar_ns: int,
    ) -> None:
        self._settings = settings
        self._markets = markets
        self._account = account
        self._orders = orders
        self._bar_ns = max(1, bar_ns)
        self._hours = settings.hours_ns
        self._day: int | None = None
        self._day_equity = account.equity_atoms
        self._last_equity = account.equity_atoms
        self._counts: dict[str, tuple[int, int]] = {}
        self._was_held: set[ConnectorPair] = set()
        self._closed_ns: dict[ConnectorPair, int] = {}
        self._sizes: tuple[tuple[DenialCode, str, Callable[[Opening], int]], ...] = tuple(
            (code, code.value.lower(), room)
            for code, room in (
                (DenialCode.MAX_POSITION_PCT, self._position_pct),
                (DenialCode.MAX_GROSS_EXPOSURE, self._gross_exposure),
                (DenialCode.MAX_NET_EXPOSURE, self._net_exposure),
                (DenialCode.MAX_LEVERAGE, self._leverage),
                (DenialCode.MAX_CONCENTRATION, self._concentration),
                (DenialCode.MAX_PORTFOLIO_HEAT, self._heat),
            )
            if getattr(settings, code.value.lower()) is not None
        )

    # --- what happens in between -----------------------------------------------------------------

    def observe(self, now_ns: int) -> None:
        """Take note of the equity and of positions that were closed."""
        day = now_ns // DAY_NS
        if self._day != day:
            if self._day is not None:
                self._day_equity = self._last_equity
            self._day = day
        self._last_equity = self._account.equity_atoms
        if not self._settings.cooldown_bars:
            return
        for market in self._markets.markets:
            if any(self._account.side_lots(market)):
                self._was_held.add(market)
            elif market in self._was_held:
                self._was_held.discard(market)
                self._closed_ns[market] = now_ns

    def record(self, now_ns: int) -> None:
        """Count an order that may enlarge a position."""
        for name, key in (("bar", now_ns // self._bar_ns), ("day", now_ns // DAY_NS)):
            self._counts[name] = (key, self._count(name, key) + 1)

    def _count(self, name: str, key: int) -> int:
        counted, count = self._counts.get(name, (key, 0))
        return count if counted == key else 0

    # --- may anything be opened ------------------------------------------------------------------

    def find_problem(self, request: OrderRequest, *, now_ns: int) -> Objection | None:
        """Return why *request* may open nothing now, None if it may."""
        self.observe(now_ns)
        return (
            self._check_hours(now_ns)
            or self._check_cooldown(request, now_ns)
            or self._check_loss()
            or self._check_positions(request)
            or self._check_counts(now_ns)
        )

    def _check_hours(self, now_ns: int) -> Objection | None:
        moment = now_ns % DAY_NS
        if self._hours is None or any(start <= moment < end for start, end in self._hours):
            return None
        return Objection(
            DenialCode.TRADING_HOURS,
            f"it is not within {', '.join(self._settings.trading_hours or ())} UTC "
            "(risk.trading_hours)",
        )

    def _check_cooldown(self, request: OrderRequest, now_ns: int) -> Objection | None:
        bars = self._settings.cooldown_bars
        closed = self._closed_ns.get(request.market)
        if not bars or closed is None or now_ns - closed >= bars * self._bar_ns:
            return None
        return Objection(
            DenialCode.COOLDOWN,
            f"the last position in {request.market} was closed less than {bars} bars ago "
            "(risk.cooldown_bars)",
        )

    def _check_loss(self) -> Objection | None:
        limit = self._settings.max_daily_loss
        if limit is None or self._day_equity <= 0:
            return None
        loss = self._day_equity - self._account.equity_atoms
        if loss * PPB < to_ppb(limit) * self._day_equity:
            return None
        share = (Decimal(loss) / self._day_equity).quantize(Decimal("0.000001"))
        return Objection(
            DenialCode.MAX_DAILY_LOSS,
            f"the day's loss {number(share)} reached {limit} (risk.max_daily_loss)",
        )

    def _check_positions(self, request: OrderRequest) -> Objection | None:
        limit = self._settings.max_open_positions
        if limit is None:
            return None
        busy = {
            market
            for market in self._markets.markets
            if any(self._account.side_lots(market)) or any(self._orders.working_lots(market))
        }
        if request.market in busy or len(busy) < limit:
            return None
        return Objection(
            DenialCode.MAX_OPEN_POSITIONS,
            f"{len(busy)} markets are held or have orders, {limit} are allowed "
            "(risk.max_open_positions)",
        )

    def _check_counts(self, now_ns: int) -> Objection | None:
        for name, limit, key in (
            ("bar", self._settings.max_orders_per_bar, now_ns // self._bar_ns),
            ("day", self._settings.max_orders_per_day, now_ns // DAY_NS),
        ):
            if limit is not None and self._count(name, key) >= limit:
                code = DenialCode[f"MAX_ORDERS_PER_{name.upper()}"]
                return Objection(
                    code, f"{limit} entries were ordered this {name} (risk.max_orders_per_{name})"
                )
        return None

    # --- how much may be opened ------------------------------------------------------------------

    def limit_size(
        self,
        request: OrderRequest,
        grant: SizeGrant,
        instrument: Instrument,
        exposure: Exposure,
        ticks: int | None,
    ) -> SizeAnswer:
        """Return what the limits on exposures leave of *grant*; reductions always stay."""
        answer: SizeAnswer = grant
        for code, key, room in self._sizes:
            if isinstance(answer, Objection):
                return answer
            if ticks is None:
                return Objection(
                    DenialCode.NO_QUOTE,
                    f"{request.market} has no quote to value it by (risk.{key})",
                )
            reducing = min(answer.lots, exposure.reducible_lots)
            opening = Opening(
                request.market,
                request.side.sign,
                max(0, exposure.held_lots + exposure.working_lots),
                max(1, abs(instrument.notional_atoms(ticks, 1))),
            )
            allowed = reducing + max(0, room(opening))
            if answer.lots <= allowed:
                continue
            limit = getattr(self._settings, key)
            text = (
                f"{number(instrument.qty(answer.lots - reducing))} more of {request.market} is "
                f"beyond {number(limit.value)} (risk.{key})"
            )
            answer = cut_size(answer, allowed, limit, instrument, code, text)
        return answer

    def _position_pct(self, opening: Opening) -> int:
        return self._share("max_position_pct") // opening.value - opening.held

    def _gross_exposure(self, opening: Opening) -> int:
        room = self._money("max_gross_exposure", opening.market) - self._gross(opening)
        return room // opening.value

    def _leverage(self, opening: Opening) -> int:
        return (self._share("max_leverage") - self._gross(opening)) // opening.value

    def _net_exposure(self, opening: Opening) -> int:
        net = opening.sign * opening.held * opening.value
        for market in self._markets.markets:
            if market != opening.market:
                net += self._value(market, self._account.net_lots(market))
            elif self._markets.instrument(market).is_hedged:
                long, short = self._account.side_lots(market)
                net += self._value(market, -short if opening.sign > 0 else long)
        limit = self._money("max_net_exposure", opening.market)
        return (limit - opening.sign * net) // opening.value

    def _concentration(self, opening: Opening) -> int:
        """Own value v of gross g: v / g <= c, so v <= c / (1 - c) * the others' value."""
        share = self._ppb("max_concentration")
        others = self._gross(opening) - opening.held * opening.value
        if share >= PPB or others <= 0:
            return NO_BOUND  # the only position is always the whole
        return others * share // (PPB - share) // opening.value - opening.held

    def _heat(self, opening: Opening) -> int:
        no_stop = to_ppb(self._settings.no_stop_risk)
        if not no_stop:
            return NO_BOUND
        heat = self._gross(opening) * no_stop // PPB
        room = self._share("max_portfolio_heat") - heat
        return room * PPB // (opening.value * no_stop)

    # --- parts -----------------------------------------------------------------------------------

    def _ppb(self, name: str) -> int:
        return int(getattr(self._settings, name).value * PPB)

    def _share(self, name: str) -> int:
        """Return the configured fraction of the equity in atoms."""
        return max(0, self._account.equity_atoms) * self._ppb(name) // PPB

    def _money(self, name: str, market: ConnectorPair) -> int:
        precision = self._markets.instrument(market).money_precision
        return int(getattr(self._settings, name).value.scaleb(precision))

    def _value(self, market: ConnectorPair, lots: int) -> int:
        """Return the value of *lots* at the mid in atoms, away from zero; 0 without a quote."""
        quote = self._markets.quote(market)
        if quote is None or not lots:
            return 0
        twice = abs(lots) * (quote.bid_ticks + quote.ask_ticks)
        atoms: int = -(-twice * self._markets.instrument(market).atoms_per_tick_lot // 2)
        return atoms if lots > 0 else -atoms

    def _gross(self, opening: Opening) -> int:
        """Return the absolute values held and working, after the reducing part of the order."""
        total = opening.held * opening.value
        for market in self._markets.markets:
            long, short = self._account.side_lots(market)
            buy, sell = self._orders.working_lots(market)
            if self._markets.instrument(market).is_hedged:
                if market != opening.market:
                    total += abs(self._value(market, long + buy + short + sell))
                elif opening.sign > 0:
                    total += abs(self._value(market, short + sell))
                else:
                    total += abs(self._value(market, long + buy))
            elif market != opening.market:
                net = long - short
                total += abs(self._value(market, max(abs(net + buy), abs(net - sell))))
        return total
