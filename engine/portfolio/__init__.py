"""engine/portfolio."""

from __future__ import annotations
