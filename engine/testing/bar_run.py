"""A small backtest without a container: bars in prices, a script of orders, the bar broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np

from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import BarFill, BarOrder
from engine.execution.bar_settings import BarBrokerSettings
from engine.model.bar_columns import BarColumns
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.bar_account import BarAccount

DAY_NS: Final = 86_400_000_000_000

Step: TypeAlias = "BarOrder | Callable[[BarBroker], object]"
Script: TypeAlias = Mapping[int, Sequence[Step]]
Price: TypeAlias = "float | str"


def bar_columns(
    bars: Sequence[tuple[Price, Price, Price, Price]],
    *,
    symbol: str = "X",
    tick: str = "0.01",
    lot: str = "1",
    settlement: Settlement = Settlement.SPOT,
    volumes: Sequence[int] | None = None,
    duration_ns: int = DAY_NS,
    start_ns: int = 0,
    ends: Sequence[int] | None = None,
    synthetic: Sequence[int] = (),
    closed: Sequence[int] = (),
    vwap: Sequence[int] | None = None,
    spread: Sequence[int] | None = None,
    **terms: Any,  # noqa: ANN401 (fields of Instrument)
) -> BarColumns:
    """Return consecutive bars of one instrument; prices are exact texts or short decimals.

    ``ends`` are the bars that end a session (all by default), ``volumes``, ``vwap`` and ``spread``
    are in lots and ticks, ``synthetic`` and ``closed`` are indices.
    """
    instrument = Instrument(
        ConnectorPair("backtest", symbol),
        tick=Decimal(tick),
        lot=Decimal(lot),
        settlement=settlement,
        **terms,
    )
    count = len(bars)
    ticks = np.array(
        [[instrument.to_ticks(Decimal(str(price))) for price in bar] for bar in bars],
        dtype=np.int64,
    ).reshape(count, 4)
    opens = start_ns + np.arange(count, dtype=np.int64) * duration_ns
    is_end = np.ones(count, dtype=np.bool_)
    if ends is not None:
        is_end = np.isin(np.arange(count), ends)
    starts = np.concatenate(([True], is_end[:-1])) if count else is_end.copy()
    return BarColumns(
        instrument=instrument,
        symbol=symbol,
        duration_ns=duration_ns,
        ts_open=opens,
        ts_close=opens + duration_ns,
        open=ticks[:, 0].copy(),
        high=ticks[:, 1].copy(),
        low=ticks[:, 2].copy(),
        close=ticks[:, 3].copy(),
        volume=np.array([-1] * count if volumes is None else volumes, dtype=np.int64),
        is_synthetic=np.isin(np.arange(count), list(synthetic)),
        starts_session=starts,
        ends_session=is_end,
        is_closed=np.isin(np.arange(count), list(closed)) if closed else None,
        vwap=None if vwap is None else np.array(vwap, dtype=np.int64),
        spread=None if spread is None else np.array(spread, dtype=np.int64),
    )


class BarRun:
    """Drives a broker over the bars of one or several symbols.

    ``script`` maps a bar index of the first symbol to what happens at its close: orders, or calls
    with the broker. Orders of index -1 are there before the first bar.
    """

    def __init__(
        self,
        *columns: BarColumns,
        script: Script | None = None,
        account: Mapping[str, object] | None = None,
        seed: int = 0,
        broker: type[BarBroker] = BarBroker,
        events: Mapping[str, Any] | None = None,
        **settings: Any,  # noqa: ANN401 (fields of BarBrokerSettings)
    ) -> None:
        self.columns = columns
        self.script = script or {}
        self.account = BarAccount(
            instruments=[one.instrument for one in columns],
            settings=AccountSettings.model_validate(dict(account or {})),
        )
        self.broker = broker(
            columns,
            account=self.account,
            settings=BarBrokerSettings.model_validate(settings),
            seed=seed,
            listening=True,
            **(events or {}),
        )
        self._play(-1, int(columns[0].ts_open[0]) if len(columns[0]) else 0)

    def run(self, *, finish: bool = False) -> BarRun:
        """Go over all bars; symbols are in step, each with a bar at every instant it has one."""
        broker = self.broker
        count = max(len(one) for one in self.columns)
        is_this_close = broker.settings.fill_timing.value == "this_close"
        for bar in range(count):
            bars = [(index, bar) for index, one in enumerate(self.columns) if bar < len(one)]
            broker.before(bars)
            broker.match(bars)
            broker.mark(bars)
            broker.expire_day(bars)
            now_ns = int(self.columns[0].ts_close[bar])
            self._play(bar, now_ns)
            if is_this_close:
                broker.fill_this_close(bars)
        if finish:
            broker.finish(close_positions=True, now_ns=int(self.columns[0].ts_close[-1]))
        return self

    def _play(self, bar: int, now_ns: int) -> None:
        for step in self.script.get(bar, ()):
            if isinstance(step, BarOrder):
                self.broker.submit(step, now_ns=now_ns)
            else:
                step(self.broker)

    @property
    def fills(self) -> list[BarFill]:
        """Return the fills so far."""
        return self.broker.fill_log

    def prices(self) -> list[tuple[int, Decimal]]:
        """Return (side, price) of the fills."""
        return [
            (fill.side, self.columns[fill.symbol].instrument.price(fill.ticks))
            for fill in self.fills
        ]

    def states(self) -> list[tuple[str, str]]:
        """Return (state, reason) of the orders by seq."""
        return [(order.status.name, order.reason) for order in self.broker.orders]

    def money(self, atoms: int) -> Decimal:
        """Return *atoms* as money."""
        return self.columns[0].instrument.money(atoms)
