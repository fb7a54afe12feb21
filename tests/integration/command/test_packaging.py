"""The wheel holds what it must and nothing else, and works from any directory."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck

ROOT = Path(__file__).resolve().parents[3]
WHERE = """
import engine, tui
from tui.paths import asset_dir, session_file
print(engine.__file__, tui.__file__, asset_dir("themes"), session_file(None), sep="\\n")
"""


def build(source: Path, target: str, folder: Path) -> Path:
    """Build one distribution of *source* and return its file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("quarterdeck-*.whl" if target == "wheel" else "quarterdeck-*.tar.gz")
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: str, suffix: str = "") -> set[str]:
    """Return the files of the checkout below *folder*, without what Python has compiled."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob(f"*{suffix}")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(
    wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_quarterdeck: Callable[[], Quarterdeck],
) -> Quarterdeck:
    """The wheel, installed in a folder of its own, run from a directory with nothing in it."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-compile", "--target", str(site)]
    subprocess.run([*pip, *options, str(wheel)], check=True, capture_output=True)
    quarterdeck = make_quarterdeck()
    quarterdeck.environment["PYTHONPATH"] = str(site)
    quarterdeck.command = site / "bin" / "quarterdeck"
    return quarterdeck


def test_the_wheel_holds_the_packages_and_their_data_and_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    folders = {name.split("/")[0] for name in names}
    (metadata,) = folders - {"engine", "tui"}
    assert metadata.endswith(".dist-info")
    data = {name for name in names if name.startswith("tui/_data/")}
    assert data == {
        f"tui/_data/{name}" for name in files_below("themes") | files_below("sample_configs")
    }
    code = {name for name in names if name.startswith(("engine/", "tui/"))} - data
    assert code == files_below("engine") | files_below("tui")
    assert "engine/store/migrations/versions/v0001_first_tables.py" in names


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, "sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert (source / "tests").is_dir()
    assert names_in(build(source, "wheel", tmp_path / "again")) == names_in(wheel)


def test_it_runs_from_any_directory_on_what_the_package_holds(installed: Quarterdeck) -> None:
    site = installed.environment["PYTHONPATH"]
    places = subprocess.run(
        [sys.executable, "-c", WHERE],
        cwd=installed.folder,
        env=installed.environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert len(places) == 4
    assert all(place.startswith(f"{site}/") for place in places)
    assert installed("--version").out == "quarterdeck 0.1.0\n"
    assert installed("check", "paper.yaml").code == 0
    done = installed("run", "deterministic.yaml", "--headless", "--json", "--for", "1")
    assert done.code == 0
    assert json.loads(done.out)["status"] == "stopped"
