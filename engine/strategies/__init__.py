"""Strategies and controllers: their interfaces, samples, and what exists by name."""

from __future__ import annotations
