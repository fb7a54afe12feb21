"""One process for each data directory, and the kernel gives it free when that process dies."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.store.errors import StoreError, StoreInUseError
from engine.store.lock import LOCK_NAME, DataDirLock, find_holder

HOLD = """
import sys
from pathlib import Path
from engine.store.lock import DataDirLock
lock = DataDirLock.acquire(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
lock.release()
"""


@contextmanager
def holding_process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    with holding_process(tmp_path) as holder, pytest.raises(StoreInUseError) as caught:
        DataDirLock.acquire(tmp_path)
    assert f"{tmp_path} is in use by process {holder.pid};" in caught.value.message
    assert caught.value.details["pid"] == holder.pid


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holding_process(tmp_path) as holder:
        assert find_holder(tmp_path) == holder.pid
        holder.kill()
        holder.wait()
        assert find_holder(tmp_path) is None
        DataDirLock.acquire(tmp_path).release()


def test_an_ended_process_leaves_no_lock(tmp_path: Path) -> None:
    with holding_process(tmp_path) as holder:
        holder.communicate()
        assert holder.returncode == 0
        DataDirLock.acquire(tmp_path).release()


def test_the_lock_names_this_process_until_it_is_released(tmp_path: Path) -> None:
    lock = DataDirLock.acquire(tmp_path)
    assert find_holder(tmp_path) == os.getpid()
    with pytest.raises(StoreInUseError, match=rf"process {os.getpid()};"):
        DataDirLock.acquire(tmp_path)
    lock.release()
    lock.release()
    assert find_holder(tmp_path) is None


def test_the_lock_file_is_private_and_stays(tmp_path: Path) -> None:
    DataDirLock.acquire(tmp_path).release()
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path) -> None:
    lock = DataDirLock.acquire(tmp_path)
    (tmp_path / LOCK_NAME).write_text("")
    with pytest.raises(StoreInUseError, match="in use by another process;"):
        DataDirLock.acquire(tmp_path)
    lock.release()


@pytest.mark.parametrize("text", ["", "nobody", "\xff", "0", "-1", "99999999999999999999"])
def test_a_lock_file_that_names_no_process_has_no_holder(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_NAME).write_text(text, encoding="latin-1")
    assert find_holder(tmp_path) is None


def test_a_directory_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(StoreError, match=r"lock file .* cannot be used: Is a directory;"):
        DataDirLock.acquire(tmp_path)
