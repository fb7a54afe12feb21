"""The data directory: private, writable, or refused in one sentence."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.data_dir import prepare_data_dir
from engine.store.errors import StoreError

NOT_EVEN_FOR_ROOT = next(path for path in (Path("/proc"), Path("/dev")) if path.is_dir())
"""Permission bits do not bind root, but the kernel's own file systems do."""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_new_directory_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    assert mode_of(prepare_data_dir(tmp_path / "data")) == 0o700


def test_missing_parents_are_made_too(tmp_path: Path) -> None:
    assert prepare_data_dir(tmp_path / "a" / "b" / "data") == tmp_path / "a" / "b" / "data"


def test_the_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare_data_dir(Path("data")) == tmp_path / "data"


def test_an_empty_directory_becomes_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    prepare_data_dir(data)
    assert mode_of(data) == 0o700


def test_a_directory_with_contents_keeps_its_mode_and_contents(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "notes.txt").write_text("mine")
    data.chmod(0o755)
    prepare_data_dir(data)
    assert mode_of(data) == 0o755
    assert [path.name for path in data.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("below", ["", "data", "deep/data"])
def test_a_file_in_the_way_is_named(tmp_path: Path, below: str) -> None:
    obstacle = tmp_path / "obstacle"
    obstacle.write_text("")
    with pytest.raises(StoreError, match=rf"{obstacle} is a file and no directory; name another"):
        prepare_data_dir(obstacle / below)


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=rf"{link} cannot be written: No such file or directory;"):
        prepare_data_dir(link)


@pytest.mark.parametrize("below", ["", "quarterdeck"])
def test_a_directory_in_which_nothing_can_be_made_is_refused(below: str) -> None:
    path = NOT_EVEN_FOR_ROOT / below
    with pytest.raises(StoreError, match=rf"data directory {path} cannot be written: .*--data-dir"):
        prepare_data_dir(path)
