"""Assets in the wheel or in the checkout, and names that other distributions use too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui import paths
from tui.__main__ import installation_problem


@pytest.mark.parametrize("name", ["themes", "sample_configs"])
def test_an_asset_directory_is_found(name: str) -> None:
    assert paths.asset_dir(name).is_dir()


def test_an_unknown_asset_directory_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        paths.asset_dir("nowhere")


def test_the_option_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(paths.DATA_DIR_VARIABLE, str(tmp_path / "environment"))
    assert paths.data_dir(str(tmp_path / "option")) == tmp_path / "option"
    assert paths.data_dir() == tmp_path / "environment"
    assert not (tmp_path / "environment").exists()


@pytest.mark.parametrize("given", [None, "paper.yaml", "sample_configs/paper.yaml"])
def test_a_bundled_sample_is_found_from_any_folder(
    given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.session_file(given).name == "paper.yaml"
    assert paths.session_file(given).is_file()


def test_a_path_of_the_user_is_left_alone(tmp_path: Path) -> None:
    missing = tmp_path / "mine.yaml"
    assert paths.session_file(str(missing)) == missing


def test_this_installation_is_whole() -> None:
    assert installation_problem() is None


def test_no_test_folder_can_replace_a_package() -> None:
    tests = Path(__file__).parents[2]
    assert not list(tests.rglob("__init__.py"))
    assert not [
        path for path in tests.rglob("*") if path.is_dir() and path.name in ("engine", "tui")
    ]
