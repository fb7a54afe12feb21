"""engine/risk."""

from __future__ import annotations
