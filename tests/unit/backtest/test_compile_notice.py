"""FAST-8: compiled kernels are kept; who runs one that is not there yet is told before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from engine.backtest.compiled_run import run_compiled
from engine.backtest.jit import drop_old_caches, is_compiled
from engine.testing.backtest_scenarios import kernel_request, market_scenario


def test_only_a_kernel_that_is_not_kept_is_told_of() -> None:
    request = kernel_request(market_scenario(3))
    told: list[str] = []
    run_compiled(request)
    assert is_compiled("kernel_market", "run_market")
    run_compiled(request, on_compile=lambda: told.append("compiling"))
    assert told == []
    assert not is_compiled("kernel_market", "no_such_kernel")


def test_the_newest_caches_of_other_sources_stay(tmp_path: Path) -> None:
    for age, name in enumerate("abcde"):
        folder = tmp_path / f"kernels-{name}"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "x.nbc").write_bytes(b"1")
        os.utime(folder, ns=(0, 10**18 - age))
    (tmp_path / "module.pyc").write_bytes(b"1")
    drop_old_caches(tmp_path / "kernels-e", keep=2)
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == ["kernels-a", "kernels-b", "kernels-e", "module.pyc"]


SMALL = """
import resource, sys
from pathlib import Path
from engine.backtest import jit

@jit.kernel
def double(x):
    return 2 * x

if sys.argv[1] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
if sys.argv[1] == "cut":
    for file in jit.CACHE_FOLDER.rglob("*double*.nbc"):
        file.write_bytes(file.read_bytes()[:100])
print(double(21), len(list(jit.CACHE_FOLDER.rglob("*double*.nbc"))), flush=True)
"""


def test_a_cache_that_cannot_be_written_or_read_costs_time_only(tmp_path: Path) -> None:
    script = tmp_path / "small.py"
    script.write_text(SMALL, encoding="utf-8")
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    said = []
    for state in ("full", "fine", "cut"):
        run = subprocess.run(
            [sys.executable, str(script), state], env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.split())
    assert said == [["42", "0"], ["42", "1"], ["42", "1"]]
