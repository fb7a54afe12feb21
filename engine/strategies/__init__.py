"""engine/strategies."""

from __future__ import annotations
