"""A run without a terminal ends gracefully: by a signal, by its time, by a reader that goes."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.command.conftest import Quarterdeck


def fast_paper(quarterdeck: Quarterdeck) -> Path:
    """Return the paper session, ten times as fast."""
    return quarterdeck.session_file("paper.yaml", {"  speed: 1 ": "  speed: 10 "})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_gracefully_with_its_summary(
    quarterdeck: Quarterdeck, number: signal.Signals
) -> None:
    with quarterdeck.start("run", fast_paper(quarterdeck), "--headless", "--json") as process:
        quarterdeck.wait_until(quarterdeck.is_running, process)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 128 + number
    (line,) = out.splitlines()
    summary = json.loads(line)
    assert summary["status"] == "stopped"
    assert summary["fills"] > 0
    assert "Traceback" not in err
    (session,) = quarterdeck.rows("SELECT status, reason, fills FROM session")
    assert session == {
        "status": "stopped",
        "reason": "stopped by engine, positions kept",
        "fills": summary["fills"],
    }


def test_it_names_the_positions_that_it_leaves(quarterdeck: Quarterdeck) -> None:
    with quarterdeck.start("run", fast_paper(quarterdeck), "--headless") as process:
        quarterdeck.wait_until(
            lambda: (
                quarterdeck.is_running()
                and any(row["amount"] != "0" for row in quarterdeck.rows("SELECT * FROM position"))
            ),
            process,
        )
        process.terminate()
        out, _ = process.communicate()
    left = [line.split() for line in out.splitlines() if line.startswith("  left: position ")]
    stored = {
        f"{row['connector_name']}:{row['trading_pair']}": row["amount"]
        for row in quarterdeck.rows("SELECT * FROM position")
        if row["amount"] != "0"
    }
    assert {words[2]: words[3] for words in left} == stored


def test_it_ends_after_the_time_that_it_is_given(quarterdeck: Quarterdeck) -> None:
    done = quarterdeck("run", "paper.yaml", "--headless", "--json", "--for", "2")
    assert done.code == 0
    assert done.summary["status"] == "stopped"
    assert done.summary["seconds"] >= 2


def test_a_reader_that_goes_ends_it_gracefully(quarterdeck: Quarterdeck) -> None:
    with quarterdeck.start("run", fast_paper(quarterdeck), "--headless") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any("paper running" in line for line in process.stdout)
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (1, "")
    assert quarterdeck.rows("SELECT status FROM session") == [{"status": "stopped"}]
