"""FAST-8: compiled kernels are kept; who runs one that is not there yet is told before."""

from __future__ import annotations

from engine.backtest.compiled_run import run_compiled
from engine.backtest.jit import is_compiled
from engine.testing.backtest_scenarios import kernel_request, market_scenario


def test_only_a_kernel_that_is_not_kept_is_told_of() -> None:
    request = kernel_request(market_scenario(3))
    told: list[str] = []
    run_compiled(request)
    assert is_compiled("kernel_market", "run_market")
    run_compiled(request, on_compile=lambda: told.append("compiling"))
    assert told == []
    assert not is_compiled("kernel_market", "no_such_kernel")
