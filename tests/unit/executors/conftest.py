"""Fixtures of the executor tests."""

from __future__ import annotations

import pytest

from engine.testing.executor_bench import ExecutorBench


@pytest.fixture
def bench() -> ExecutorBench:
    """A bench whose venue fills orders by itself, without fees."""
    return ExecutorBench()


@pytest.fixture
def manual_bench(bench: ExecutorBench) -> ExecutorBench:
    """A bench whose venue does nothing but acknowledge."""
    bench.venue.is_matching = False
    return bench
