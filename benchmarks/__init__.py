"""Benchmarks by subject, each with its reference measured in the same run."""

from __future__ import annotations
