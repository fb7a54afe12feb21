"""Nothing in `engine` may block the loop in these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Raise on a blocking call from `engine` on the loop."""
    with blockbuster_ctx("engine"):
        yield
