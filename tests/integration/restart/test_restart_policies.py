"""What becomes of a session that was cut off: through a real store, by its configured policy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from engine.api.board import Board
from engine.api.command_event import CommandEvent
from engine.api.commands import CreateExecutor, StopExecutor, UpdateExecutor
from engine.api.engine import Engine
from engine.api.engine_errors import EngineStartError
from engine.config.session_plan import load_session_plan
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType
from engine.live.published import PublishedSession
from engine.store.database_file import DATABASE_NAME
from engine.store.records import AuditRecord, SessionRecord, SessionStatus
from engine.store.store import Store

pytestmark = pytest.mark.anyio

TEXT = """\
version: 1
session: {{name: paper, on_end: keep, on_restart: {policy}, seed: {seed}, speed: 20}}
account: {{currency: USDT}}
venues: [{{name: sim}}]
markets:
  - venue: sim
    pair: AAA-USDT
    tick: 0.01
    lot: 0.001
    source: {{kind: synthetic, start_price: 100, intensity_per_s: 50}}
executors:
  - type: position_executor
    connector_name: sim
    trading_pair: AAA-USDT
    side: BUY
    amount: 2
    triple_barrier_config: {{open_order_type: MARKET, stop_loss: 0.5}}
"""


class Crash:
    """A first life whose data directory is copied while it runs, as a crash would leave it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "session.yaml"
        self.first = folder / "first"
        self.second = folder / "second"

    def configure(self, policy: str, seed: int = 5, more: str = "") -> None:
        text = TEXT.format(policy=policy, seed=seed) + more
        self.config.write_text(text, encoding="utf-8")

    def copy(self) -> None:
        """Copy what a killed process would leave: the database and its write-ahead log."""
        self.second.mkdir(mode=0o700)
        for path in self.first.glob(f"{DATABASE_NAME}*"):
            shutil.copy(path, self.second / path.name)

    async def happen(self, policy: str, more: str = "") -> PublishedSession:
        """Run until the planned executor is filled, then copy; return the last state."""
        self.configure(policy, more=more)
        board = WatchedBoard()
        async with Engine.open(config=self.config, data_dir=self.first, board=board):
            filled = await board.until(has_filled)
            # The fill is written with the next batch of inputs.
            state = await board.until(lambda one: one.inputs > filled.inputs + 5)
            self.copy()
        return state

    async def records(self) -> list[SessionRecord]:
        async with Store.open(self.second, now_ns=0) as store:
            return list(await store.sessions())


class WatchedBoard(Board):
    """Wakes who waits for a certain state."""

    def __init__(self) -> None:
        super().__init__()
        self._news = anyio.Event()

    def publish_session(self, session: PublishedSession) -> None:
        super().publish_session(session)
        self._news.set()
        self._news = anyio.Event()

    async def until(self, is_so: Callable[[PublishedSession], bool]) -> PublishedSession:
        """Return the newest state of the session as soon as *is_so* of it."""
        with anyio.fail_after(60):
            while True:
                for session in self.sessions.values():
                    if is_so(session):
                        return session
                await self._news.wait()


def has_filled(session: PublishedSession) -> bool:
    return bool(session.fills)


def only_executor(session: PublishedSession) -> ExecutorSnapshot:
    (snapshot,) = {**session.executors, **session.archived}.values()
    return snapshot


def main_executor(session: PublishedSession) -> ExecutorSnapshot:
    executors = {**session.executors, **session.archived}.values()
    (snapshot,) = [one for one in executors if one.controller_id == "main"]
    return snapshot


@pytest.fixture
def crash(tmp_path: Path) -> Crash:
    return Crash(tmp_path)


@pytest.mark.parametrize(
    ("policy", "close_type", "amount"),
    [("resume", None, 2), ("flatten", "EARLY_STOP", 0), ("hold", "POSITION_HOLD", 2)],
)
async def test_an_interrupted_session_is_taken_up(
    crash: Crash, policy: str, close_type: str | None, amount: int
) -> None:
    before = await crash.happen(policy)
    board = WatchedBoard()
    async with Engine.open(config=crash.config, data_dir=crash.second, board=board):
        after = await board.until(
            lambda one: (
                one.inputs > 5
                and bool({**one.executors, **one.archived})
                and (close_type is None or only_executor(one).is_done)
            ),
        )
        old, new = only_executor(before), only_executor(after)
        assert new.id == old.id
        assert new.created_ns == old.created_ns
        assert (new.close_type.name if new.close_type else None) == close_type
        assert after.account.positions[0].amount == Decimal(amount)
        assert after.id != before.id
        assert after.fills[0] == before.fills[0]
        said = [line.text for line in board.log if "is resumed" in line.text]
        assert len(said) == 1
        assert before.id in said[0]
        assert "1 executors go on" in said[0]
    newest, interrupted = await crash.records()
    assert interrupted.status is SessionStatus.INTERRUPTED
    assert newest.status is SessionStatus.STOPPED
    async with Store.open(crash.second, now_ns=0) as store:
        first_fills = await store.fills(interrupted.session_id)
        second_fills = await store.fills(newest.session_id)
    assert len(first_fills) == 1
    assert len(second_fills) == (2 if policy == "flatten" else 1)


CONTROLLER = """\
controllers:
  - id: fast
    kind: momentum
    on_restart: {policy}
    params: {{connector_name: sim, trading_pair: AAA-USDT, interval_s: 3600}}
"""


@pytest.mark.parametrize("policy", ["resume", "flatten", "hold", "ignore"])
def test_each_controller_has_its_own_policy(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "session.yaml"
    session = TEXT.format(policy="ignore", seed=1)
    path.write_text(session + CONTROLLER.format(policy=policy), encoding="utf-8")
    config = load_session_plan(path).config
    assert config.restart_policy("fast") == policy
    assert config.restart_policy("main") == "ignore"
    assert config.restart_policies == {policy, "ignore"}


async def test_the_executors_of_the_session_can_be_ignored_alone(crash: Crash) -> None:
    before = await crash.happen("ignore", more=CONTROLLER.format(policy="resume"))
    board = WatchedBoard()
    async with Engine.open(config=crash.config, data_dir=crash.second, board=board):
        # The controller, which has the policy resume, may have opened something by itself.
        old = main_executor(before)
        after = await board.until(
            lambda one: (
                one.inputs > 5
                and old.id in {**one.executors, **one.archived}
                and main_executor(one).is_done
            )
        )
        new = main_executor(after)
        assert new.id == old.id
        assert (new.close_type, new.last_error) == (CloseType.FAILED, "ignored at the restart")
        (held,) = [one for one in after.positions_held if one.controller_id == "main"]
        assert held.amount == Decimal(2)


@pytest.mark.parametrize(
    ("policy", "seed", "said"),
    [("ignore", 5, "its records are kept"), ("resume", 6, "the session file has changed since")],
    ids=["ignored", "changed"],
)
async def test_a_session_is_begun_anew(crash: Crash, policy: str, seed: int, said: str) -> None:
    before = await crash.happen(policy)
    crash.configure(policy, seed)
    board = WatchedBoard()
    async with Engine.open(config=crash.config, data_dir=crash.second, board=board):
        after = await board.until(has_filled)
        assert only_executor(after).id != only_executor(before).id
        assert after.fill_count == 1
        warnings = [line.text for line in board.log if line.level == "warning"]
        assert any(before.id in text and said in text for text in warnings)
    statuses = [record.status for record in await crash.records()]
    assert statuses == [SessionStatus.STOPPED, SessionStatus.INTERRUPTED]


async def test_a_session_that_ended_is_not_taken_up(crash: Crash) -> None:
    crash.configure("resume")
    for _ in range(2):
        board = WatchedBoard()
        async with Engine.open(config=crash.config, data_dir=crash.second, board=board):
            state = await board.until(has_filled)
            assert state.fill_count == 1
            assert not [line for line in board.log if "interrupted" in line.text]


async def test_commands_and_their_audit_records(crash: Crash) -> None:
    crash.configure("resume")
    board = WatchedBoard()
    async with Engine.open(config=crash.config, data_dir=crash.second, board=board) as engine:
        state = await board.until(has_filled)
        executor_id = only_executor(state).id
        config = {
            "connector_name": "sim",
            "trading_pair": "AAA-USDT",
            "side": "SELL",
            "amount": Decimal("0.50"),
        }
        for command in (
            UpdateExecutor(session="paper", executor_id=executor_id, changes={"stop_loss": None}),
            CreateExecutor(session="paper", executor_type="position_executor", config=config),
            StopExecutor(session="paper", executor_id="nobody", actor="me"),
            StopExecutor(session="nowhere", executor_id=executor_id),
        ):
            event = CommandEvent(command=command)
            await engine.take(event)
            await engine.work.commands.wait(event.id)
        rows = list(board.commands.values())
        assert [row.status for row in rows] == ["completed", "completed", "failed", "failed"]
        assert "nobody" in rows[2].reason
        assert rows[3].reason == "there is no session 'nowhere'"
        summary = engine.summary()
        assert summary["executor_types"] == {"position_executor": 2}
    assert engine.report().clean
    async with Store.open(crash.second, now_ns=0) as store:
        audit: list[AuditRecord] = [
            one for one in await store.audit() if not one.kind.startswith("session")
        ]
        (session,) = await store.sessions()
        entries = await store.journal(session.session_id, limit=100_000)
    assert [(one.kind, one.status, one.actor) for one in audit] == [
        ("UpdateExecutor", "completed", "operator"),
        ("CreateExecutor", "completed", "operator"),
        ("StopExecutor", "failed", "me"),
        ("StopExecutor", "failed", "operator"),
    ]
    assert {one.session_id for one in audit} == {session.session_id}
    assert any('"amount":"0.50"' in entry.payload for entry in entries if entry.kind == "action")


async def test_a_data_directory_is_not_shared(crash: Crash) -> None:
    crash.configure("resume")
    async with Engine.open(config=crash.config, data_dir=crash.first):
        with pytest.raises(EngineStartError) as caught:
            async with Engine.open(config=crash.config, data_dir=crash.first):
                pass
        assert caught.value.exit_code == 3
