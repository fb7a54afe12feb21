"""Fixtures for every kind of test."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples everywhere, and no limit on time: a slow machine is no failed test.
settings.register_profile("quarterdeck", deadline=None, derandomize=True, database=None)
settings.load_profile("quarterdeck")


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the engine's only backend."""
    return "asyncio"
