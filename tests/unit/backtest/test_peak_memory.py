"""The peak of memory is that of this program, not of what the process was before."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from engine.backtest.peak_memory import peak_rss_bytes

SMALL = "from engine.backtest.peak_memory import peak_rss_bytes; print(peak_rss_bytes())"


def test_the_peak_grows_with_what_is_used() -> None:
    before = peak_rss_bytes()
    held = np.ones(before // 8 + 1_000_000)
    assert peak_rss_bytes() > max(before, held.nbytes // 2)


def test_a_small_child_of_a_large_process_is_small() -> None:
    held = np.ones(40_000_000)
    child = subprocess.run([sys.executable, "-c", SMALL], check=True, capture_output=True)
    assert int(child.stdout) < held.nbytes
