"""Signals of a whole run as integer columns, one row for each signal (FAST-2 A)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NO_PRICE: Final = -(2**63)
"""Entry of a price column where the signal has none."""

DEFAULTS: Final[Mapping[str, tuple[str, int]]] = {
    "bar": ("int64", 0),
    "kind": ("int8", 3),
    "value": ("int64", 0),
    "side": ("int8", 0),
    "strength_ppb": ("int64", 1_000_000_000),
    "only_flat": ("int8", 0),
    "order_type": ("int8", 0),
    "limit": ("int64", NO_PRICE),
    "stop": ("int64", NO_PRICE),
    "trail": ("int64", NO_PRICE),
    "trail_unit": ("int8", 0),
    "limit_offset": ("int64", NO_PRICE),
    "activation": ("int64", NO_PRICE),
    "tif": ("int8", 0),
    "expire": ("int64", 0),
    "bracket_basis": ("int8", 0),
    "sl": ("int64", NO_PRICE),
    "tp": ("int64", NO_PRICE),
    "sl_trail": ("int64", NO_PRICE),
    "sl_unit": ("int8", 1),
    "tp_unit": ("int8", 1),
    "sl_trail_unit": ("int8", 0),
    "trail_n": ("int64", 14),
    "sl_n": ("int64", 14),
    "tp_n": ("int64", 14),
    "sl_trail_n": ("int64", 14),
    "off_grid": ("int8", 0),
    "reduce_only": ("int8", 0),
    "post_only": ("int8", 0),
    "size_ppb": ("int64", 0),
    "oco_group": ("int64", 0),
    "oco_mode": ("int8", 0),
    "cancel_tag": ("int64", 0),
    "replace_tag": ("int64", 0),
    "tag": ("int64", 0),
}
"""Columns with their type and what stands in them when a strategy says nothing."""

_NUMBERS: Final = {
    name: (np.dtype(dtype), np.dtype(dtype).type(default).tobytes())
    for name, (dtype, default) in DEFAULTS.items()
}
"""The same defaults as bytes."""

Column = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class SignalTable:
    """All signals of one strategy on one symbol, in the order in which it gives them.

    A row is what ``on_bar`` emits at the close of bar ``bar``; it may depend on bars up to that
    one only (LOOK-1). Prices are ticks, rates parts per billion; codes are those of
    `engine.strategies.signal_codes`. ``tags[tag]`` is the label of a row.

    Raises:
        ValueError: columns differ in length, or ``bar`` goes back.
    """

    columns: Mapping[str, Column]
    tags: tuple[str, ...] = ("",)
    length: int = field(init=False)

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of signals differ in length: {lengths}")
        bars = self.columns["bar"]
        if len(bars) > 1 and bool(np.any(np.diff(bars) < 0)):
            raise ValueError("signals are not in the order of their bars")
        object.__setattr__(self, "length", len(bars))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, name: str) -> Column:
        """Return the column *name*."""
        return self.columns[name]

    def has_only(self, name: str, value: int) -> bool:
        """Return whether every row of the column *name* has *value*; at once for a default."""
        column = self.columns[name]
        if column.strides == (0,) and len(column):
            return bool(column[0] == value)
        return bool((column == value).all())


def signal_table(
    given: Mapping[str, npt.ArrayLike], *, tags: tuple[str, ...] = ("",)
) -> SignalTable:
    """Return the table of the columns *given*; the others hold their defaults.

    Raises:
        KeyError: a column has an unknown name.
        ValueError: columns differ in length, or ``bar`` goes back.
    """
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise KeyError(f"signals have no columns {', '.join(unknown)}")
    length = len(np.atleast_1d(np.asarray(given["bar"])))
    columns: dict[str, Column] = {}
    for name, (dtype, _) in DEFAULTS.items():
        if name not in given:
            # One number, as often as it is needed; the bytes are read-only.
            kind, number = _NUMBERS[name]
            columns[name] = np.ndarray((length,), kind, number, strides=(0,))
            continue
        column = np.empty(length, dtype=dtype)
        column[:] = np.asarray(given[name])
        column.flags.writeable = False
        columns[name] = column
    return SignalTable(columns, tags)
