"""What an order is for its executor; the role goes with every request and fill."""

from __future__ import annotations

from typing import Final

ENTRY: Final = "entry"
TAKE_PROFIT: Final = "take_profit"
CLOSE: Final = "close"
PARTIAL_CLOSE: Final = "partial_close"
