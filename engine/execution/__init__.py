"""Order handling: validator, order manager, simulated broker, cost models."""

from __future__ import annotations
