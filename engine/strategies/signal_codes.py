"""Codes of the columns of a signal table: the numbers that both paths and results share."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class KindCode(IntEnum):
    """How ``value`` is read."""

    TARGET_WEIGHT = 1
    """Signed share of equity, parts per billion."""
    TARGET_QTY = 2
    """Signed position in lots."""
    DIRECTION = 3
    """+1, -1 or 0; the sizer says how much."""
    EXIT = 4
    """No position."""
    ORDER = 5
    """Signed lots to be ordered, whatever the position is."""


@unique
class BarOrderType(IntEnum):
    """Order types of bar execution."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING_STOP = 4
    TRAILING_STOP_LIMIT = 5
    MOO = 6
    MOC = 7
    MARKET_IF_TOUCHED = 8


@unique
class TimeInForce(IntEnum):
    """How long an order works."""

    GTC = 0
    DAY = 1
    IOC = 2
    FOK = 3
    GTD = 4


@unique
class OffsetUnit(IntEnum):
    """Unit of a trail or of a bracket that counts from the fill."""

    NONE = 0
    PRICE = 1
    """Ticks; a price difference that was rounded to the grid."""
    PPB = 2
    """Parts per billion of the extreme or of the fill price (pct and bps become these)."""
    TICKS = 3
    ATR = 4
    """Parts per billion of the ATR over so many bars, frozen at submission."""


@unique
class BracketBasis(IntEnum):
    """What the prices of a bracket are."""

    ABSOLUTE = 0
    FILL = 1


@unique
class OcoMode(IntEnum):
    """What a fill does to the siblings of an OCO group (FILL-22)."""

    DEFAULT = 0
    REDUCE = 1
    CANCEL = 2
