"""Optimisation: many backtests of one configuration, their table, and how far to believe it."""

from __future__ import annotations
