"""Keeps pauses of the whole process short: turns of threads, and garbage collection.

A full collection walks over everything that lives, with all threads standing still: a tenth of a
second and more for a session with its console. It must not come every ten seconds.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SWITCH_INTERVAL_S: Final = 0.001
"""A busy thread gives others their turn after a millisecond instead of five."""
THRESHOLDS: Final = (3_000, 10, 100)
"""Of the collector. What is published ten times a second dies young, without being looked at."""
SETTLE_S: Final = 5.0
"""Seconds after which a session and its console have made what stays."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Favour short pauses over throughput in this process; leaving restores what was."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def settle(seconds: float = SETTLE_S) -> None:
    """Wait *seconds*, collect once, and let later collections pass over what lives then.

    What is set aside is freed as usual when nothing refers to it; only a ring among it is not, and
    what a process has made in its first seconds is bounded.
    """
    from anyio import sleep  # the first frame waits for this module, but not for anyio

    await sleep(seconds)
    gc.collect()
    gc.freeze()
