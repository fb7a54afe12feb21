"""`kill -9` while all eight executor types work: the next start goes on with their state."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from engine.api.build import build_container
from engine.config.session_plan import load_session_plan
from engine.containers.effects import Effects
from engine.containers.session_container import SessionContainer
from engine.live.resume import replay_session
from engine.store.store import Store
from tests.integration.command.test_kill import Forks, check_store, forks
from tui.paths import asset_dir

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

__all__ = ["forks"]

SAMPLES = Path(str(asset_dir("sample_configs")))
KILLS = 4
TYPES = 8


@pytest.mark.parametrize("seed", [24])
def test_killed_executors_go_on_with_their_state(
    quarterdeck: Quarterdeck, forks: Forks, seed: int
) -> None:
    draws = random.Random(seed)
    text = (SAMPLES / "executors" / "all.yaml").read_text(encoding="utf-8")
    path = quarterdeck.folder / "all.yaml"
    path.write_text(text.replace("  speed: 1\n", "  speed: 20\n"), encoding="utf-8")
    lives: list[str] = []
    for _ in range(KILLS):
        inputs = draws.randrange(20, 250)
        forks.kill_after(quarterdeck, path, known=len(lives), inputs=inputs)
        check_store(quarterdeck.data_dir / "quarterdeck.db")
        lives = [row["session_id"] for row in newest_last(quarterdeck)]
    done = quarterdeck("run", path, "--headless", "--json", "--for", "5")
    assert (done.code, done.summary["status"]) == (0, "stopped")
    assert len(done.summary["executor_types"]) == TYPES
    check_store(quarterdeck.data_dir / "quarterdeck.db")

    lives.append(done.summary["session_id"])
    for earlier, later in pairwise(lives):
        assert fills_of(quarterdeck, earlier) <= fills_of(quarterdeck, later)
    check_that_everything_ended(quarterdeck, lives[-1])
    anyio.run(check_against_the_journal, quarterdeck.data_dir, path, lives[-2], quarterdeck)


def newest_last(quarterdeck: Quarterdeck) -> list[dict[str, Any]]:
    return list(quarterdeck.rows("SELECT session_id FROM session ORDER BY rowid"))


def fills_of(quarterdeck: Quarterdeck, session_id: str) -> set[tuple[str, ...]]:
    rows = quarterdeck.rows(
        f"SELECT fill_id, side, price, amount, fee_quote FROM fill "  # noqa: S608 (our own id)
        f"WHERE session_id = '{session_id}'"
    )
    return {tuple(str(value) for value in dict(row).values()) for row in rows}


def check_that_everything_ended(quarterdeck: Quarterdeck, session_id: str) -> None:
    rows = quarterdeck.rows(
        f"SELECT status, close_type, closed_ns FROM executor WHERE session_id = '{session_id}'"  # noqa: S608 (our own id)
    )
    assert rows
    for row in rows:
        assert row["status"] == "TERMINATED"
        assert row["close_type"]
        assert row["closed_ns"]


async def check_against_the_journal(
    data_dir: Path, path: Path, session_id: str, quarterdeck: Quarterdeck
) -> None:
    """The journals of all lives up to *session_id* give at least the fills that were stored."""
    plan = load_session_plan(path)
    container: SessionContainer = build_container(plan, container_id="any", start_ns=0)
    fills: set[str] = set()

    def record(effects: Effects) -> None:
        fills.update(fill.fill_id.partition("-")[2] for fill in effects.fills)

    async with Store.open(data_dir, now_ns=1) as store:
        await replay_session(store, session_id, container, record)
    stored = {fill[0].partition("-")[2] for fill in fills_of(quarterdeck, session_id)}
    assert stored <= fills
    assert container.executor_count == len(
        quarterdeck.rows(
            f"SELECT executor_id FROM executor WHERE session_id = '{session_id}'"  # noqa: S608 (our own id)
        )
    )
