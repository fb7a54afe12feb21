"""tui/modals."""

from __future__ import annotations
