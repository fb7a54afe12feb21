"""What a compiled run is made of: bars, signals, rules (FAST-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.execution.bar_settings import BarBrokerSettings
from engine.model.bar_columns import BarColumns
from engine.portfolio.account_settings import AccountSettings
from engine.risk.bar_limits import BarRiskSettings
from engine.strategies.signal_table import SignalTable

LARGEST: Final = 2**62
"""No number of a kernel may reach this (UNIT-7)."""


@dataclass(frozen=True, slots=True, eq=False)
class SymbolSignals:
    """The signals of one strategy on one symbol; ``number`` is the strategy's place."""

    number: int
    symbol: int
    table: SignalTable


@dataclass(frozen=True, slots=True, eq=False)
class KernelRequest:
    """Everything that a compiled run is made of.

    ``starts`` and ``stops`` are the first bar and the end of each symbol's window.
    """

    columns: tuple[BarColumns, ...]
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    signals: tuple[SymbolSignals, ...]
    account: AccountSettings
    broker: BarBrokerSettings
    risk: BarRiskSettings
    seed: int
    close_positions: bool

    @property
    def is_single(self) -> bool:
        """Whether there is one symbol, whose bars are the steps."""
        return len(self.columns) == 1


def safe_lots(request: KernelRequest, bars: BarColumns) -> int:
    """Return the most lots whose value, times the leverage, stays far inside 62 bits (UNIT-7)."""
    top = 4 * bars.highest if len(bars) else 1
    per_lot = max(1, top) * bars.instrument.atoms_per_tick_lot * int(request.account.leverage)
    return LARGEST // per_lot
