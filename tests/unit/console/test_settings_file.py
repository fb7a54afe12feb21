"""What is chosen in the console is remembered; everything else in the file stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tui.settings import (
    Settings,
    SettingsError,
    load_settings,
    load_usable_settings,
    save_settings,
)


def test_there_is_no_file_before_a_choice(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()
    save_settings(tmp_path / "config", Settings())
    assert list(tmp_path.iterdir()) == []


def test_a_choice_is_read_again_and_belongs_to_its_owner(tmp_path: Path) -> None:
    chosen = Settings(theme="quarterdeck-light", time_format="relative")
    save_settings(tmp_path / "deep" / "config", chosen)
    path = tmp_path / "deep" / "config" / "config.yaml"
    assert load_settings(path.parent) == chosen
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["config.yaml"]


def test_only_the_chosen_lines_change(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# mine\ntheme: nord  # a note\nfps: 4\nkeymap:\n  exec.stop: D", "utf-8")
    settings = replace(load_settings(tmp_path), theme="quarterdeck-cb", time_format="local")
    save_settings(tmp_path, settings)
    assert path.read_text("utf-8") == (
        "# mine\ntheme: quarterdeck-cb  # a note\nfps: 4\nkeymap:\n  exec.stop: D\n"
        "time_format: local\n"
    )
    assert load_settings(tmp_path) == settings


def test_back_to_the_default_is_written_where_the_file_says_otherwise(tmp_path: Path) -> None:
    save_settings(tmp_path, Settings(time_format="local"))
    save_settings(tmp_path, Settings())
    assert (tmp_path / "config.yaml").read_text("utf-8") == "time_format: utc\n"


def test_a_name_that_yaml_would_read_otherwise_is_quoted(tmp_path: Path) -> None:
    save_settings(tmp_path, Settings(theme="1984: # odd"))
    assert load_settings(tmp_path).theme == "1984: # odd"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thme: nord", "did you mean 'theme'"),
        ("- nord", "is not a mapping"),
        ("theme: [", "cannot be read"),
        ("fps: 99", "allowed are 0 to 30"),
        ("fps: many", "fps is 'many'; write a whole number"),
        ("theme: 1984", "theme is 1984; write a name"),
        ("read_only: maybe", "write true or false"),
        ("keymap: [n]", "write lines of action and key"),
        ("time_format: solar", "utc, local, relative"),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings(tmp_path)
    assert str(tmp_path / "config.yaml") in str(caught.value)


@pytest.mark.parametrize("text", ["fps: 900", "theme: [", "theme: 'nord\nfps: {", "\tx: 1", "- a"])
def test_a_file_with_a_mistake_is_defaults_and_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text, "utf-8")
    settings, problem = load_usable_settings(tmp_path)
    assert settings == Settings()
    assert problem.startswith(f"The defaults are used, and no choice is saved: {tmp_path}")
    assert "\n" not in problem


def test_a_file_without_a_mistake_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("fps: 5\nread_only: true\n", "utf-8")
    assert load_usable_settings(tmp_path) == (Settings(fps=5, read_only=True), "")


def test_a_key_map_of_its_own_goes_before_that_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("keymap:\n  exec.new: N\n  exec.edit: M\n")
    (tmp_path / "keymap.yaml").write_text("exec.stop: x,ctrl+k\nexec.edit: 9\n")
    keymap = load_settings(tmp_path).keymap
    assert keymap == {"exec.new": "N", "exec.stop": "x,ctrl+k", "exec.edit": "9"}
    (tmp_path / "keymap.yaml").write_text("keymap:\n  exec.stop: Z\n")
    assert load_settings(tmp_path).keymap["exec.stop"] == "Z"
    (tmp_path / "keymap.yaml").write_text("")
    assert dict(load_settings(tmp_path).keymap) == {"exec.new": "N", "exec.edit": "M"}


@pytest.mark.parametrize("text", ["- exec.stop\n", "exec.stop: [x]\n", "exec.stop: {a: b\n"])
def test_a_key_map_that_is_none_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "keymap.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"keymap\.yaml: "):
        load_settings(tmp_path)
