"""Scoped containers: the components of one run, created and closed together."""

from __future__ import annotations
