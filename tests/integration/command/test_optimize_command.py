"""The command ``optimize``: its JSON, its mistakes, and what a kill -9 leaves (OPT-13)."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

SAMPLES = Path(__file__).parents[3] / "sample_configs"


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    """A study that takes some seconds: there is time to break it off."""
    base = yaml.safe_load((SAMPLES / "backtest.yaml").read_text())["backtest"]
    base["engine"] = "events"
    base["data"][0]["path"] = str(SAMPLES / base["data"][0]["path"])
    return written(tmp_path, base=base, space={"fast": {"range": [2, 62]}, "slow": [70, 80]})


def written(folder: Path, **more: Any) -> Path:
    section = {"base": str(SAMPLES / "backtest.yaml"), "parallelism": "serial", **more}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "optimization": section}))
    return path


def finished(quarterdeck: Quarterdeck) -> int:
    """Return how many trials the only study has finished."""
    journals = list(quarterdeck.data_dir.glob("optimizations/*/journal.jsonl"))
    return journals[0].read_bytes().count(b"\n") - 1 if journals else 0


def summary(quarterdeck: Quarterdeck, *arguments: str | Path) -> dict[str, Any]:
    done = quarterdeck("optimize", *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_killed_study_is_resumed_and_runs_no_finished_trial_again(
    quarterdeck: Quarterdeck, study_file: Path
) -> None:
    with quarterdeck.start("optimize", study_file) as process:
        quarterdeck.wait_until(lambda: finished(quarterdeck) >= 5, process)
        process.kill()
    before = finished(quarterdeck)
    assert 5 <= before < 120
    (folder,) = quarterdeck.data_dir.glob("optimizations/*")
    resumed = summary(quarterdeck, "--resume", folder.name)
    assert resumed["resumed"] == before
    assert resumed["trials"] == 120
    whole = summary(quarterdeck, study_file)
    assert whole["resumed"] == 0
    assert whole["table_hash"] == resumed["table_hash"]
    assert whole["best"]["reproduced"] is True


def test_ctrl_c_ends_a_study_with_what_was_done(quarterdeck: Quarterdeck, study_file: Path) -> None:
    with quarterdeck.start("optimize", study_file, "--json") as process:
        quarterdeck.wait_until(lambda: finished(quarterdeck) >= 2, process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    found = json.loads(out)
    assert found["status"] == "CANCELLED"
    assert found["counts"]["DONE"] >= 2
    assert found["counts"]["DONE"] + found["counts"]["CANCELLED"] == 120


def test_tables_are_written_and_the_report_is_readable(
    quarterdeck: Quarterdeck, tmp_path: Path
) -> None:
    file = written(tmp_path, space={"fast": [5, 10], "slow": [40]})
    done = quarterdeck("optimize", file, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "best by sharpe" in done.out
    assert "deflated Sharpe" in done.out
    assert "2 trials were compared" in done.out
    assert "Journal of Portfolio Management" in done.out
    assert "sharpe in  sharpe out" in done.out
    assert "Deflated Sharpe ratio" in (tmp_path / "out/report.html").read_text()
    kept = list(quarterdeck.data_dir.glob("optimizations/*/report.html"))
    assert len(kept) == 1
    assert pl.read_parquet(tmp_path / "out/trials.parquet")["fast"].to_list() == [5, 10]
    assert json.loads((tmp_path / "out/study.json").read_text())["trials"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either CONFIG or --resume ID"),
        (["--resume", "opt-0"], "there is no study 'opt-0'"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["optimization.yaml", "--workers", "0"], "is not a number of workers"),
        (["optimization.yaml", "--backend", "cloud"], "invalid choice: 'cloud'"),
        (
            ["optimization.yaml", "--backend", "distributed"],
            "--backend distributed needs cluster: add --cluster tcp://HOST:PORT",
        ),
        (
            ["optimization.yaml", "--cluster", "127.0.0.1:9"],
            "--cluster: '127.0.0.1:9' is no address of a scheduler, write tcp://HOST:PORT",
        ),
        (["optimization.yaml", "--cluster", "tcp://127.0.0.1:9"], "no scheduler answers at"),
        (["optimization.yaml", "--set", "optimization.space.fast=[]"], "space.fast"),
    ],
)
def test_mistakes_end_with_a_sentence_and_exit_code_2(
    quarterdeck: Quarterdeck, arguments: list[str], message: str
) -> None:
    done = quarterdeck("optimize", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(quarterdeck.data_dir.glob("optimizations/*"))


def test_check_knows_optimisation_files(quarterdeck: Quarterdeck, tmp_path: Path) -> None:
    for command in ("check", "validate"):
        assert quarterdeck(command, "optimization.yaml").code == 0
        done = quarterdeck(command, written(tmp_path, space={}))
        assert done.code == 2
        assert "optimization.space" in done.err


def test_a_study_of_which_nothing_qualifies_is_done_and_has_no_best(
    quarterdeck: Quarterdeck, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        space={"fast": [5, 10], "slow": [20]},
        objective={"metric": "sharpe", "min_trades": 1_000_000},
    )
    found = summary(quarterdeck, path)
    assert (found["best"], found["failed"]) == (None, 0)
    assert [(row["status"], row["objective"]) for row in found["rows"]] == [("DONE", None)] * 2


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(
    quarterdeck: Quarterdeck, study_file: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("", encoding="utf-8")
    done = quarterdeck("optimize", str(study_file), "--out", str(taken))
    assert done.code == 1
    assert "cannot be written" in done.err
    assert "name another folder" in done.err
    assert not list(quarterdeck.data_dir.glob("optimizations/*"))
