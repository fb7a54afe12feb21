"""engine/live."""

from __future__ import annotations
