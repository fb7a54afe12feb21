"""The log file: private, JSON lines, no secrets, never in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from engine.live import log_file as log_module
from engine.live.log_file import LogFile
from engine.testing.agent_bench import quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def modes_of_files(directory: Path) -> list[int]:
    return [file.stat().st_mode & 0o777 for file in directory.iterdir()]


async def test_lines_are_json_with_level_and_time(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        log_file.log.info("started", session="s-1")
        log_file.log.warning("careful")
    first, second = lines(log_file.path)
    assert (first["event"], first["level"], first["session"]) == ("started", "info", "s-1")
    assert str(first["timestamp"]).endswith("Z")
    assert second["level"] == "warning"


async def test_lines_of_a_task_name_it_and_its_agent(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file, quiet_engine(ManualClock()) as engine:

        async def work(pool: Any) -> None:
            log_file.log.info("inside")

        task = await engine.schedule_task("watcher", "fetch", work)
        await task.result()
        log_file.log.info("outside")
    inside, outside = lines(log_file.path)
    assert (inside["agent_id"], inside["task_id"]) == ("watcher", task.id)
    assert "agent_id" not in outside
    assert "task_id" not in outside


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        log_file.log.info("secret business")
    assert log_file.path.stat().st_mode & 0o777 == 0o600


async def test_a_rotated_file_is_private_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_BYTES", 400)
    async with LogFile.open(tmp_path) as log_file:
        for number in range(20):
            log_file.log.info("line", number=number)
    modes = modes_of_files(tmp_path)
    assert len(modes) > 2
    assert set(modes) == {0o600}


async def test_a_secret_shows_as_asterisks(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        secret = SecretStr("hunter2")
        log_file.log.info("connected", key=secret, nested={"keys": [secret]})
    text = log_file.path.read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert text.count("**********") == 2


async def test_what_looks_like_a_secret_is_masked_wherever_it_stands(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        log_file.log.warning(
            "refused: GET https://joe:hunter2@host/x?api_key=hunter2&n=1",
            header="Authorization: Bearer hunter2",
        )
    (line,) = lines(log_file.path)
    assert line["event"] == "refused: GET https://***@host/x?api_key=***&n=1"
    assert line["header"] == "Authorization: Bearer ***"


async def test_an_error_comes_with_its_traceback(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        log_file.log.error("broke", exc_info=ZeroDivisionError("by nothing"))
    (line,) = lines(log_file.path)
    assert "ZeroDivisionError: by nothing" in str(line["exception"])


async def test_a_traceback_tells_no_secret(tmp_path: Path) -> None:
    async with LogFile.open(tmp_path) as log_file:
        failure = ValueError("GET https://user:pw@host/x?api_key=abc123&side=buy")
        log_file.log.error("an agent failed", exc_info=failure)
    text = log_file.path.read_text(encoding="utf-8")
    assert "abc123" not in text
    assert "user:pw" not in text
    assert "side=buy" in text


async def test_lines_that_find_no_room_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "QUEUE_LINES", 3)
    log_file = LogFile(tmp_path)  # not started: nobody empties the queue
    for number in range(10):
        log_file.log.info("line", number=number)
    assert log_file.lost_lines == 7
    log_file.start()
    log_file.close()
    assert len(lines(log_file.path)) == 3


async def test_lines_that_cannot_be_written_are_counted_and_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with LogFile.open(tmp_path) as log_file:
        assert log_file.lost_lines == 0
        (tmp_path / log_module.FILE_NAME).mkdir()
        log_file.log.info("nowhere to go")
    assert log_file.lost_lines == 1
    assert capfd.readouterr() == ("", "")


async def test_two_engines_do_not_share_a_log(tmp_path: Path) -> None:
    first_dir, second_dir = tmp_path / "a", tmp_path / "b"
    first_dir.mkdir()
    second_dir.mkdir()
    async with LogFile.open(first_dir) as first, LogFile.open(second_dir) as second:
        first.log.info("mine")
        second.log.info("yours")
    assert [line["event"] for line in lines(first.path)] == ["mine"]
    assert [line["event"] for line in lines(second.path)] == ["yours"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
async def test_a_full_disk_does_not_hide_how_the_engine_ended(tmp_path: Path) -> None:
    (tmp_path / "quarterdeck.log").symlink_to("/dev/full")

    async with LogFile.open(tmp_path) as log_file:
        log_file.log.info("finds no room")

    assert log_file.lost_lines == 2  # the line, and what was buffered at the end
