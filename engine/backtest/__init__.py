"""Backtests: configuration, the loop over bars, coordinator, results, compiled kernels."""

from __future__ import annotations
