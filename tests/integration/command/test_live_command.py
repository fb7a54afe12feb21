"""`quarterdeck live` and `replay`, and their documents in validate, explain, schema and check."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.api.document_files import SCHEMAS
from engine.execution.bar_settings import BarBrokerSettings
from tui.cli import run

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"
SPEC_LIVE = """\
version: 1
live_trading:
  container_type: live
  mode: LIVE_TRADING
  isolation_level: full
  monitoring_enabled: true
  health_check_interval: 60
  circuit_breaker: {failure_threshold: 5, window_s: 60, open_s: 30}
  components:
    strategy: {class: sma_cross, error_handling: graceful, params: {}}
    portfolio: {class: VirtualPortfolio, allocated_capital: 100000, reconciliation_interval: 300}
    risk_manager: {max_position_size: 100, max_portfolio_risk: 0.02, max_daily_loss: 0.03}
    broker: {class: LiveBroker, order_router: order_router}
"""
PAPER = """\
version: 1
live_trading:
  mode: PAPER_TRADING
  bar_s: 5
  market_data_feed: {speed: max, start: 2024-01-01T00:00:00, end_after: 10m}
  components:
    strategy: {class: sma_cross, params: {fast: 3, slow: 8, direction: both}}
    broker: {class: SimulatedBroker, slippage_model: {kind: bps, bps: 2}}
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "spx"
    backtest = str(SAMPLES / "backtest.yaml")
    assert run(["backtest", backtest, "--set", "record_events=true", "--out", str(folder)]) == 0
    return folder


# --- live ----------------------------------------------------------------------------------------


def test_a_live_file_is_valid_and_cannot_be_run_without_its_venue(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "live.yaml", SPEC_LIVE)
    for command in ("validate", "check"):
        assert said(capsys, command, path) == (0, "", "")
    code, out, err = said(capsys, "live", path)
    assert (code, out) == (2, "")
    assert "needs the order router 'order_router' and none is connected" in err
    assert "set mode PAPER_TRADING" in err


def test_a_live_file_without_a_breaker_is_warned_about(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = [line for line in SPEC_LIVE.splitlines() if "circuit_breaker" not in line]
    path = write(tmp_path / "live.yaml", "\n".join(lines))
    for command in ("validate", "check"):
        code, _, err = said(capsys, command, path)
        assert code == 0
        assert err.startswith(f"warning: {path}:2: live_trading: no circuit_breaker is configured")
        assert "for LIVE_TRADING" in err


def test_paper_runs_to_its_end_and_reports(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "momentum.yaml", PAPER)
    out_file = tmp_path / "costs.yaml"
    code, out, err = said(capsys, "live", path, "--json", "--calibration", out_file)
    assert code == 0
    assert "warning:" in err
    summary = json.loads(out)
    (one,) = summary["strategies"]
    assert (summary["mode"], summary["reason"]) == (
        "PAPER_TRADING", "the session's time is over",
    )  # fmt: skip
    assert (one["id"], one["state"], one["errors"]) == ("momentum", "running", 0)
    assert one["fills"] == one["orders"] > 0
    assert one["shadow"]["compared"] == one["fills"]
    assert float(one["shadow"]["mean_bps"]) == pytest.approx(2, abs=0.3)
    measured = yaml.safe_load(out_file.read_text(encoding="utf-8"))
    assert BarBrokerSettings.model_validate(measured).slippage_model.kind == "bps"
    again = json.loads(said(capsys, "live", path, "--json")[1])
    assert again["strategies"][0]["equity"] == one["equity"]


def test_files_share_one_account_and_may_be_flattened(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = write(tmp_path / "a.yaml", PAPER)
    second = write(tmp_path / "b.yaml", PAPER.replace("fast: 3", "fast: 2"))
    code, out, _ = said(capsys, "live", first, second, first, "--json", "--on-end", "flatten")
    assert code == 0
    strategies = json.loads(out)["strategies"]
    assert [one["id"] for one in strategies] == ["a", "b", "a-2"]
    assert all(one["positions"] == {} for one in strategies)
    code, _, err = said(capsys, "live", first, second, "--set", "account.equity=150000")
    assert code == 2
    assert "capital 100000 with 100000 of the others is above" in err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("sma_cross", "sma_corss"), "strategy 'sma_corss' is not known"),
        (("start: 2024-01-01T00:00:00, ", ""), "set start to an ISO 8601 stamp"),
        (("bar_s: 5", "market: BETA-USDT"), "market 'BETA-USDT' is not known, allowed"),
        (("slippage_model: {kind: bps, bps: 2}", "slip: 1"), "slip: is not a known key"),
    ],
    ids=["class", "speed", "market", "key"],
)
def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    code, out, err = said(capsys, "live", write(tmp_path / "a.yaml", PAPER.replace(*change)))
    assert (code, out) == (2, "")
    assert expected in err


def test_several_strategies_of_a_file_have_an_account_each_or_share_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one = "    strategy: {class: sma_cross, params: {fast: 3, slow: 8, direction: both}}\n"
    two = (
        "    strategies:\n"
        "      - {class: sma_cross, id: quick, params: {fast: 2, slow: 6}}\n"
        "      - {class: donchian, params: {entry: 6, exit: 3}}\n"
    )
    path = write(tmp_path / "two.yaml", PAPER.replace(one, two))
    log = tmp_path / "two.events"
    code, out, _ = said(capsys, "live", path, "--json")
    assert code == 0
    assert [part["id"] for part in json.loads(out)["strategies"]] == ["two-quick", "two-donchian"]
    setting = "isolation_level=portfolio"
    code, out, _ = said(capsys, "live", path, "--set", setting, "--record", log, "--json")
    assert code == 0
    (shared,) = json.loads(out)["strategies"]
    assert shared["id"] == "two"
    assert shared["fills"] > 0
    code, out, _ = said(capsys, "replay", log, "--json")
    assert (code, json.loads(out)["verified"]) == (0, True)
    write(path, PAPER.replace(one, two.replace("entry: 6", "entry: six")))
    code, _, err = said(capsys, "validate", path)
    assert code != 0
    assert f"{path}:9: live_trading.components.strategies.1.params.entry" in err


def test_the_text_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = said(capsys, "live", write(tmp_path / "a.yaml", PAPER), "--for", "60")
    assert code == 0
    assert "PAPER_TRADING: the session's time is over" in out
    assert "a: running, equity" in out


# --- replay --------------------------------------------------------------------------------------


def test_a_folder_a_file_of_events_and_a_document_are_replayed(
    capsys: pytest.CaptureFixture[str], recorded: Path
) -> None:
    text = "version: 1\nreplay: {mode: REPLAY, log: spx/run.events, pace: max, verify: true}\n"
    document = write(recorded.parent / "replay.yaml", text)
    capsys.readouterr()
    assert said(capsys, "validate", document) == (0, "", "")
    wanted = json.loads((recorded / "metrics.json").read_text(encoding="utf-8"))["fingerprint"]
    for source in (recorded, recorded / "run.events", document):
        code, out, err = said(capsys, "replay", source, "--json")
        assert (code, err) == (0, "")
        report = json.loads(out)
        assert (report["verified"], report["fingerprint"]) == (True, wanted)
        assert report["bars"] == report["bars_total"] > 5000
    code, out, _ = said(capsys, "replay", recorded, "--no-verify")
    assert code == 0
    assert f"fingerprint {wanted} equals the recording" in out


def test_the_first_event_that_differs_stops_it_and_both_are_printed(
    capsys: pytest.CaptureFixture[str], recorded: Path, tmp_path: Path
) -> None:
    lines = (recorded / "run.events").read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if '"kind": "FILL"' in line)
    event = json.loads(lines[place])
    lots = event["payload"]["lots"]
    event["payload"]["lots"] = lots + 1
    lines[place] = json.dumps(event)
    path = write(tmp_path / "changed.events", "\n".join(lines) + "\n")
    code, out, _ = said(capsys, "replay", path)
    assert code == 1
    assert f"event {event['seq']} differs:" in out
    assert f'"lots": {lots + 1}' in out
    assert f'"lots": {lots}' in out
    code, out, _ = said(capsys, "replay", path, "--json")
    report = json.loads(out)
    assert (code, report["difference_seq"]) == (1, event["seq"])
    assert report["recorded_event"]["payload"]["lots"] == lots + 1
    assert report["replayed_event"]["payload"]["lots"] == lots
    assert report["bars"] < report["bars_total"]


def test_step_by_step_from_the_input(
    capsys: pytest.CaptureFixture[str], recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n10\ng 300\ng 20\nx\ne\nc\nq\n"))
    code, out, err = said(capsys, "replay", recorded, "--pace", "step", "--break", "FILL")
    assert code == 0
    bars = [line.split()[1] for line in err.splitlines() if line.startswith("bar ")]
    assert bars[:4] == ["1", "11", "300", "20"]
    assert '"kind": "FILL"' in err
    assert "'x' is not known" in err
    assert "ended before the last bar" in out


def test_it_starts_where_it_is_told_and_stops_at_breakpoints(
    capsys: pytest.CaptureFixture[str], recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = said(
        capsys, "replay", recorded, "--seek", "4000", "--break", "kind=FILL,symbol=SPX"
    )
    assert code == 0
    bars = [int(line.split()[1].replace(",", "")) for line in err.splitlines() if "bar " in line]
    assert bars
    assert min(bars) > 4000


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--pace", "fast"], "'fast' is no pace"),
        (["--break", "kind=NOTHING"], "kind 'NOTHING' is not known"),
        (["--base-dir", "."], "does not exist|cannot be read|data"),
    ],
    ids=["pace", "breakpoint", "folder"],
)
def test_mistakes_of_a_replay_are_told(
    capsys: pytest.CaptureFixture[str], recorded: Path, arguments: list[str], expected: str
) -> None:
    import re

    code, out, err = said(capsys, "replay", recorded, *arguments)
    assert (code, out) == (2, "")
    assert re.search(expected, err)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("replay: {log: nothing.events}", "2: replay.log: 'nothing.events' does not exist"),
        ("replay: {log: ., pace: fast}", "2: replay.pace: 'fast' is not allowed"),
        ("replay: {log: ., mode: PLAY}", "2: replay.mode: 'PLAY' is not allowed"),
        ("replay: {log: ., breakpoints: [NO]}", "kind 'NO' is not known"),
        ("replay: {}", "2: replay.log: is missing"),
    ],
    ids=["log", "pace", "mode", "breakpoint", "empty"],
)
def test_mistakes_in_a_replay_file_have_their_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, expected: str
) -> None:
    path = write(tmp_path / "replay.yaml", f"version: 1\n{text}\n")
    for command in ("validate", "replay"):
        code, _, err = said(capsys, command, path)
        assert code == 2
        assert expected in err


def test_a_paper_run_is_recorded_and_gives_its_events_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.yaml", PAPER.replace("bps: 2}", "bps: 2}, latency_ms: 150"))
    log = tmp_path / "day.events"
    crossing = "account.internal_crossing=true"
    code, _, _ = said(capsys, "live", path, path, "--set", crossing, "--record", log, "--json")
    assert code == 0
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    kinds = {row["kind"] for row in rows if "kind" in row}
    assert kinds == {"paper", "SIGNAL", "ORDER", "FILL"}
    assert {row["strategy"] for row in rows if row.get("kind") == "FILL"} == {"a", "a-2"}
    code, out, err = said(capsys, "replay", log, "--json")
    report = json.loads(out)
    assert (code, err, report["verified"]) == (0, "", True)
    assert report["fingerprint"] == rows[-1]["end"]["fingerprint"]
    assert report["bars"] == rows[-1]["end"]["inputs"] > 600
    # The last quotes before a fill were others: the first event that differs is told.
    first = next(n for n, row in enumerate(rows) if row.get("kind") == "FILL")
    quotes = [n for n in range(first) if rows[n].get("in", [0, ""])[1] == "quote"]
    for place in quotes[-3:]:
        words = rows[place]["in"][2].split()
        words[2:4] = [str(int(word) - 500) for word in words[2:4]]
        rows[place]["in"][2] = " ".join(words)
    changed = write(tmp_path / "changed.events", "".join(f"{json.dumps(one)}\n" for one in rows))
    code, out, _ = said(capsys, "replay", changed)
    assert code == 1
    assert "differs:" in out
    assert "recorded {" in out
    # A recording that was cut off is compared as far as it goes.
    cut = write(
        tmp_path / "cut.events", "".join(f"{json.dumps(one)}\n" for one in rows[: quotes[-4]])
    )
    assert said(capsys, "replay", cut)[0] == 0
    broken = write(tmp_path / "broken.events", f'{json.dumps(rows[0])}\n{{"in": [1, "x", ""]}}\n')
    code, _, err = said(capsys, "replay", broken)
    assert code == 2
    assert "broken.events:2: event: is damaged" in err


def test_a_recording_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.yaml", PAPER)
    code, out, err = said(capsys, "live", path, "--record", tmp_path / "no" / "day.events")
    assert (code, out) == (2, "")
    assert "day.events: the recording cannot be written" in err


def test_a_run_of_executors_is_replayed_as_a_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sample = SAMPLES / "backtest-executors.yaml"
    assert said(capsys, "backtest", sample, "--out", tmp_path / "run")[0] == 0
    code, out, err = said(capsys, "replay", tmp_path / "run", "--json")
    report = json.loads(out)
    assert (code, err, report["verified"]) == (0, "", True)
    code, _, err = said(capsys, "replay", tmp_path / "run", "--pace", "step")
    assert code == 2
    assert "replayed as a whole" in err


# --- documents -----------------------------------------------------------------------------------


def _samples() -> Iterator[Path]:
    yield from sorted(SAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", list(_samples()), ids=lambda path: path.stem)
def test_every_sample_is_valid(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    assert said(capsys, "validate", path) == (0, "", "")


def test_explain_shows_values_and_origins_of_each_kind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    replay = write(tmp_path / "replay.yaml", "version: 1\nreplay: {log: ., pace: 10x}\n")
    cases: list[tuple[Any, str, str]] = [
        (SAMPLES / "live.yaml", "components.broker.slippage_model.kind: bps", "live.yaml:16"),
        (SAMPLES / "live.yaml", "market_data_feed.speed: 1", "default"),
        (SAMPLES / "optimization.yaml", "max_tasks_per_worker: 200", "default"),
        (replay, "pace: 10x", "replay.yaml:2"),
    ]
    for path, value, origin in cases:
        code, out, err = said(capsys, "explain", path)
        assert (code, err) == (0, "")
        line = next(line for line in out.splitlines() if line.startswith(value))
        assert line.endswith(f"# {origin}")
    code, out, _ = said(capsys, "explain", SAMPLES / "live.yaml", "--set", "seed=9")
    assert "seed: 9" in out
    assert "command line" in out


@pytest.mark.parametrize("kind", SCHEMAS)
def test_each_kind_has_a_schema(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    code, out, err = said(capsys, "schema", kind)
    assert (code, err) == (0, "")
    schema = json.loads(out)
    assert schema["type"] == "object"
    assert kind in schema["properties"]


def test_the_schema_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "schema", "nothing")
    assert (code, out) == (2, "")
    assert "allowed: backtest, optimization, live_trading, replay, session" in err
