"""Small studies on real backtests of bundled data."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from engine.config.optimization_file import OptimizationFile, load_optimization_file
from engine.live.clock import SystemClock
from engine.optimization.study import Study
from engine.optimization.study_result import StudyResult

SAMPLES = pathlib.Path(__file__).parents[3] / "sample_configs"

BASE: dict[str, Any] = {
    "data": [{"symbol": "SPX", "path": str(SAMPLES / "data/sp500-1d.csv"), "bar": "1d"}],
    "components": {
        "strategy": {"class": "sma_cross", "params": {}},
        "portfolio": {"params": {"initial_cash": 100_000, "currency": "USD"}},
        "risk_manager": {"params": {"sizer": {"kind": "all_in"}}},
    },
}

Write = Callable[..., OptimizationFile]


@pytest.fixture
def write(tmp_path: pathlib.Path) -> Write:
    def make(**more: Any) -> OptimizationFile:
        section: dict[str, Any] = {
            "base": BASE,
            "parallelism": "serial",
            "space": {"fast": [5, 10], "slow": [40, 60]},
        }
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "optimization": section | more}))
        return load_optimization_file(path)

    return make


def run(file: OptimizationFile, **more: Any) -> StudyResult:
    monotonic_ns = SystemClock().monotonic_ns
    return Study(file.config, file.load_base(), monotonic_ns=monotonic_ns, **more).run()
