"""tui/formatting."""

from __future__ import annotations
