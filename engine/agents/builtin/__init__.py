"""The engine's own recurring work as agents: it runs in every session."""

from __future__ import annotations
