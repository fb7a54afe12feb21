"""engine/flow."""

from __future__ import annotations
