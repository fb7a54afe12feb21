"""The trading engine behind the quarterdeck console. Importing it loads nothing."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "quarterdeck"
"""Name of the distribution that owns this package; the command checks it at start."""
