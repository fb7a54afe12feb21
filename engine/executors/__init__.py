"""Trading executors: state machines that work one intent to its end, and what owns them."""

from __future__ import annotations
