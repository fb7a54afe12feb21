"""``keys``, ``locate`` and ``doctor``: what is installed, where it looks, what is in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tui.actions import ACTIONS
from tui.keymap import check_keymap

if TYPE_CHECKING:
    from tests.integration.command.conftest import Quarterdeck


def settings(quarterdeck: Quarterdeck, text: str) -> Path:
    folder = quarterdeck.folder / "settings"
    folder.mkdir()
    quarterdeck.environment["QUARTERDECK_CONFIG_DIR"] = str(folder)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder


def test_keys_lists_every_action_with_the_operators_own_keys(quarterdeck: Quarterdeck) -> None:
    _ = settings(quarterdeck, "keymap:\n  exec.new: N\n  exec.nwe: M\n")
    done = quarterdeck("keys")
    assert done.code == 0
    assert "did you mean 'exec.new'?" in done.err
    for action in ACTIONS:
        assert f"  {action.id} " in done.out
    (new,) = (line for line in done.out.splitlines() if " exec.new " in line)
    assert new.split()[0] == "N"


def test_keys_as_yaml_are_a_key_map_without_clashes(quarterdeck: Quarterdeck) -> None:
    done = quarterdeck("keys", "--format", "yaml")
    checked = check_keymap(yaml.safe_load(done.out)["keymap"])
    assert (done.err, checked.problems) == ("", ())
    assert checked.keys == {one.id: one.keys for one in ACTIONS if not one.fixed}


def test_keys_as_markdown_are_a_table(quarterdeck: Quarterdeck) -> None:
    lines = quarterdeck("keys", "--format", "md").out.splitlines()
    assert lines[:2] == ["| where | key | action | does |", "|---|---|---|---|"]
    assert "| executors | `x` `ctrl+k` | `exec.stop` |" in "\n".join(lines)
    assert len(lines) == len(ACTIONS) + 2


def test_locate_names_paths_and_makes_none(quarterdeck: Quarterdeck) -> None:
    data = quarterdeck.folder / "elsewhere"
    places = json.loads(quarterdeck("locate", "--json", "--data-dir", data).out)
    assert places["database"] == str(data / "quarterdeck.db")
    assert Path(places["samples"], "paper.yaml").is_file()
    assert not data.exists()
    assert (
        f"log             {data}/quarterdeck.log" in quarterdeck("locate", "--data-dir", data).out
    )


def test_doctor_marks_what_is_in_the_way(quarterdeck: Quarterdeck) -> None:
    folder = settings(quarterdeck, "theme: nord\n")
    well = quarterdeck("doctor")
    assert (well.code, well.err) == (0, "")
    assert "  settings: good" in well.out
    assert "is made at the first start" in well.out
    assert "  textual " in well.out
    (folder / "config.yaml").write_text("them: nord\n", encoding="utf-8")
    quarterdeck.data_dir.mkdir(mode=0o755)
    ill = quarterdeck("doctor")
    assert ill.code == 1
    marked = [line for line in ill.out.splitlines() if line.startswith("!")]
    assert len(marked) == 2
    assert "private: no, run chmod 700" in marked[0]
    assert "did you mean 'theme'?" in marked[1]
