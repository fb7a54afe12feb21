"""The HTML report of a study: complete, honest by default, self-contained, safe."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
from typing import Any

from engine.optimization.study_report import render_study_report
from tests.integration.optimization.conftest import Write, run


def rendered(write: Write, *, name: str = "two means", **more: Any) -> str:
    file = write(**more)
    space = file.config.parameter_space()
    return render_study_report(
        {"id": "opt-1", **run(file).to_json()},
        parameters={item.name: item.values for item in space.parameters},
        name=name,
        config="space: __DATA__ <b>",
    )


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    plain: dict[str, Any] = json.loads(found[1])
    return plain


def test_it_says_how_far_to_believe_the_best_without_being_asked(write: Write) -> None:
    page = rendered(write, walk_forward={"train": 2000, "test": 500})
    for text in (
        "Trials compared",
        "Deflated Sharpe ratio",
        "The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5)",
        "Probability of overfitting",
        "sharpe in sample</th><th>sharpe out of sample",
        "4 trials were compared",
        "The tests one after another",
        "trained on bars",
        "Every trial has a result.",
        "Share of the variance",
    ):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")
    data = data_of(page)
    assert [name for name, _ in data["parameters"]] == ["fast", "slow"]
    assert data["metrics"][0] == "sharpe"
    assert {"in_sample_sharpe", "out_of_sample_sharpe"} < set(data["metrics"])
    assert data["rows"][0][0] == data["best"]


def test_a_walk_forward_has_its_curve_and_the_trials_of_each_training(write: Write) -> None:
    windows = {"train": 2000, "test": 1000}
    page = rendered(write, method="walk_forward", walk_forward=windows)
    assert 'aria-label="equity of the tests one after another"' in page
    assert "Each fold was judged on later bars" in page
    data = data_of(page)
    assert [fold["name"] for fold in data["folds"]] == [
        "fold 0, trained on 0 .. 2,000",
        "fold 1, trained on 1,000 .. 3,000",
        "fold 2, trained on 2,000 .. 4,000",
    ]
    for fold in data["folds"]:
        best = max(fold["rows"], key=lambda row: row[4])
        assert best[0] == fold["best"]
        assert best[3] == [best[4]]


def test_several_objectives_have_their_front_in_it(write: Write) -> None:
    objectives = [{"metric": "sharpe"}, {"metric": "max_drawdown", "direction": "minimize"}]
    assert "Pareto front" in rendered(write, objective=objectives)


def test_failures_are_listed_with_their_reason(write: Write) -> None:
    page = rendered(write, space={"fast": [5, 50], "slow": [40]})
    assert "fast 50 must be below slow 40" in page
    assert "<td>FAILED</td><td>run</td>" in page


def test_what_a_study_is_called_cannot_end_an_element(write: Write) -> None:
    page = rendered(write, name="</title><script>alert(1)</script>", space={"fast": [5]})
    assert "<script>alert" not in page
    assert "&lt;/title&gt;" in page
    assert "space: __DATA__ &lt;b&gt;" in page
    assert page.count("<script") == 2


def test_a_study_without_a_result_has_a_report_too(write: Write) -> None:
    page = rendered(write, objective={"min_trades": 10_000}, out_of_sample=None)
    assert "no trial has a sharpe that counts" in page
    assert "Nothing was judged out of sample." in page


def test_its_script_is_sound(write: Write, tmp_path: pathlib.Path) -> None:
    node = shutil.which("node")
    script = rendered(write).rpartition("<script>")[2].partition("</script>")[0]
    assert script.count("{") == script.count("}")
    if node is not None:
        path = tmp_path / "report.js"
        path.write_text(script)
        subprocess.run([node, "--check", str(path)], check=True, timeout=60)
