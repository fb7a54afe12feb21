"""Pure values: instruments and their grids, quotes, bars, orders, fills, clock."""

from __future__ import annotations
