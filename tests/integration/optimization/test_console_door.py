"""What the console asks of studies: checks before a run, a trial as a paper session file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.api.commands import RunOptimization
from engine.api.files import check_session_file
from engine.api.optimization_check import check_optimization
from engine.api.paper_file import trial_config, write_paper_session
from engine.flow.errors import EngineError, NotFoundError, ValidationError
from engine.testing.fake_studies import make_studies

SAMPLE = Path(__file__).parents[3] / "sample_configs" / "optimization.yaml"
DONE = make_studies()["opt-1ff93efb"]


def test_a_sample_is_checked_without_a_run() -> None:
    check = check_optimization(RunOptimization(path=str(SAMPLE)))
    assert check.ok
    assert ("Trials", "36 by grid, process") in check.preview
    assert ("fast", "5 10 15 20 25 30") in check.preview


def test_mistakes_stand_beside_their_field(tmp_path: Path) -> None:
    missing = check_optimization(RunOptimization(path=str(tmp_path / "no.yaml")))
    assert list(missing.errors) == ["path"]
    assert list(check_optimization(RunOptimization()).errors) == ["path"]
    alone = check_optimization(RunOptimization(path=str(SAMPLE), backend="distributed"))
    assert list(alone.errors) == ["cluster"]


def test_a_trial_becomes_a_session_file_that_can_be_run(tmp_path: Path) -> None:
    path = write_paper_session(DONE, 17, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "fast=12 slow=80" in text
    assert f"quarterdeck run {path}" in text
    assert check_session_file(path) == ()


def test_what_cannot_become_a_session_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no trial 999"):
        write_paper_session(DONE, 999, tmp_path)
    components = {"strategy": {"class": "my:Own", "params": {}}}
    own = replace(DONE, backtest={**DONE.backtest, "components": components})
    with pytest.raises(ValidationError, match="cannot run on paper"):
        write_paper_session(own, 17, tmp_path)
    with pytest.raises(ValidationError, match="has 0 strategies"):
        trial_config(replace(DONE, backtest={}), DONE.trials[0])
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be written"):
        write_paper_session(DONE, 17, blocked)
