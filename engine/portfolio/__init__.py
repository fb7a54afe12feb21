"""Ledgers: positions, cash, fees and what is still free, in whole money atoms."""

from __future__ import annotations
