"""Scenarios: real executors on the simulated clock against scripted markets and venues."""

from __future__ import annotations
