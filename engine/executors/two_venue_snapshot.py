"""Immutable state and report of an executor on two venues."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from engine.executors.fill_ledger import half_even, to_decimal
from engine.executors.snapshot import BarrierKind, BarrierPrice, ExecutorSnapshot, QuoteOf
from engine.executors.two_venue_leg import VenueLeg
from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class TwoVenueReport:
    """Money of a finished or running trade, in atoms of the executor's first market.

    ``net`` is 0 until the trade is finished: before, only fees and volume are facts.
    """

    net_atoms: int = 0
    net_pct: Fraction = Fraction(0)
    fee_atoms: int = 0
    filled_atoms: int = 0


NOTHING = TwoVenueReport()


@dataclass(frozen=True, slots=True)
class PaysBelow:
    """Where an arbitrage pays: below the bid of ``market`` times ``factor``.

    ``factor`` converts ticks and quote assets and takes off costs and the least profit.
    """

    market: ConnectorPair
    factor: Fraction

    def ticks(self, quote_of: QuoteOf) -> int | None:
        """Return the highest buying price that pays, in ticks; None without a quote."""
        quote = quote_of(self.market)
        if quote is None or quote.bid_ticks <= 0:
            return None
        return max(0, ceil(quote.bid_ticks * self.factor) - 1)


def two_venue_report(
    buy: VenueLeg,
    sell: VenueLeg,
    *,
    rate: Fraction,
    residual: tuple[VenueLeg, int] | None,
    money_precision: int,
    is_finished: bool,
) -> TwoVenueReport:
    """Return the report of 8.4; what is left to the position store does not count.

    Args:
        buy: the buying leg.
        sell: the selling leg.
        rate: the buying market's quote asset per selling market's one.
        residual: leg and lots that the position store takes, valued at the leg's average.
        money_precision: decimals of the atoms to report in.
        is_finished: whether the result is final.
    """
    bought, sold = (
        Fraction(
            leg.executed_atoms - _left_atoms(leg, residual), 10**leg.instrument.money_precision
        )
        for leg in (buy, sell)
    )
    sold *= rate
    fees = Fraction(buy.fee_atoms, 10**buy.instrument.money_precision) + rate * Fraction(
        sell.fee_atoms, 10**sell.instrument.money_precision
    )
    net = sold - bought - fees if is_finished else Fraction(0)
    return TwoVenueReport(
        net_atoms=_atoms(net, money_precision),
        net_pct=net / bought if bought else Fraction(0),
        fee_atoms=_atoms(fees, money_precision),
        filled_atoms=_atoms(bought + sold, money_precision),
    )


@dataclass(frozen=True, slots=True)
class TwoVenueSnapshot(ExecutorSnapshot):
    """State of an executor on two venues; ``market`` is the maker's or the buying one.

    ``lines`` are prices of that market which the executor works at: kind, ticks, note.
    """

    report: TwoVenueReport
    lines: tuple[tuple[BarrierKind, int, str], ...]
    pays: PaysBelow | None = None
    """What an arbitrage waits for; None for other types, and once it has traded."""

    @property
    def is_trading(self) -> bool:
        """Whether it is active with a result (5.5); the result comes with the end."""
        return not self.is_done and self.report.net_atoms != 0

    @property
    def fee_atoms(self) -> int:
        """Return the fees to report: 0 once the fills are handed over (8.2)."""
        return 0 if self.is_handed_over else self.report.fee_atoms

    @property
    def filled_atoms(self) -> int:
        """Return both legs' volume to report: 0 once the fills are handed over (8.2)."""
        return 0 if self.is_handed_over else self.report.filled_atoms

    def net_pnl_atoms(self, mark_ticks: int | None) -> int:
        """Return the net PnL; it does not depend on the mark."""
        del mark_ticks
        return 0 if self.is_handed_over else self.report.net_atoms

    def net_pnl_pct(self, mark_ticks: int | None) -> Decimal:
        """Return the net PnL as a fraction of the buying leg."""
        del mark_ticks
        return Decimal(0) if self.is_handed_over else to_decimal(self.report.net_pct)

    def net_return(self, mark_ticks: int | None) -> float:
        """Return ``net_pnl_pct`` as the nearest float: a key to sort by."""
        return float(self.net_pnl_pct(mark_ticks))

    def barriers(self, mark_ticks: int | None) -> tuple[BarrierPrice, ...]:
        """Return the prices that the executor works at, with their distance from the mark."""
        if self.is_done:
            return ()
        return tuple(
            BarrierPrice(
                kind,
                self.instrument.price(ticks),
                Decimal(ticks - mark_ticks) / Decimal(mark_ticks) if mark_ticks else None,
                None,
                note,
            )
            for kind, ticks, note in self.lines
        )

    def barriers_at(self, mark_ticks: int | None, quote_of: QuoteOf) -> tuple[BarrierPrice, ...]:
        """Return ``barriers`` and the price at which an arbitrage pays at the quotes of now."""
        found = self.barriers(mark_ticks)
        ticks = None if self.pays is None or self.is_done else self.pays.ticks(quote_of)
        if self.pays is None or ticks is None:
            return found
        # The way to go is that of the buying price, not of the mark.
        quote = quote_of(self.market)
        ask = None if quote is None else quote.ask_ticks
        distance = Decimal(ticks - ask) / Decimal(ask) if ask else None
        note = f"buys here or below to sell at {self.pays.market}"
        price = self.instrument.price(ticks)
        return (BarrierPrice("arbitrage", price, distance, None, note), *found)


def _left_atoms(leg: VenueLeg, residual: tuple[VenueLeg, int] | None) -> int:
    if residual is None or residual[0] is not leg:
        return 0
    return leg.cost_of(residual[1])


def _atoms(money: Fraction, money_precision: int) -> int:
    scaled = money * 10**money_precision
    return half_even(scaled.numerator, scaled.denominator)
