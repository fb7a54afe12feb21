"""What the columns of a grid share because their bars are the same."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.backtest import metric_series as series
from engine.backtest.kernel_inputs import KernelSetup
from engine.backtest.kernel_request import KernelRequest
from engine.model.bar_columns import BarColumns, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class GridAxis:
    """What depends on the bars only."""

    columns: tuple[BarColumns, ...]
    bar_ns: int
    closes: FloatArray
    single: IntArray
    """Stamps of a run of one symbol."""
    ends: IntArray
    setups: list[tuple[tuple[object, ...], KernelSetup]] = field(default_factory=list)
    """The last one, with what it was made of."""

    def setup(self, request: KernelRequest) -> KernelSetup:
        """Return the setup of *request*; columns with the same rules share it."""
        rules = (request.account, request.broker, request.risk, request.close_positions)
        for known, setup in self.setups:
            if all(one is other for one, other in zip(rules, known, strict=True)):
                return setup
        made = KernelSetup(request)
        self.setups[:] = [(rules, made)]
        return made

    def ends_of(self, samples: int) -> IntArray:
        """Return the ends of the periods of the first *samples* of a run of one symbol."""
        if samples == len(self.single):
            return self.ends
        return series.period_ends(self.single[:samples], self.bar_ns)


class GridAxes:
    """The axes of the last windows."""

    _KEPT: Final = 4

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._axes: dict[tuple[object, ...], GridAxis] = {}

    def of(self, request: KernelRequest) -> GridAxis:
        """Return the axis of *request*; any thread."""
        columns, starts, stops = request.columns, request.starts, request.stops
        key = (*map(id, columns), *starts, *stops)
        with self._lock:
            axis = self._axes.get(key)
            if axis is None:
                while len(self._axes) >= self._KEPT:
                    del self._axes[next(iter(self._axes))]
                bar_ns = min(one.duration_ns for one in columns)
                single = read_only(columns[0].ts_close[starts[0] : stops[0]])
                ends = series.period_ends(single, bar_ns)
                # The columns are kept, so no other object can take their ids.
                axis = GridAxis(columns, bar_ns, columns[0].close_prices(), single, ends)
                self._axes[key] = axis
        return axis


def read_only(values: IntArray) -> IntArray:
    """Return *values* in one piece of memory, read-only: one type for the kernels."""
    view = np.ascontiguousarray(values).view(np.ndarray)
    view.flags.writeable = False
    return view
