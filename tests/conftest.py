"""Fixtures for every kind of test."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the engine's only backend."""
    return "asyncio"
