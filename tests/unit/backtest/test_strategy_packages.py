"""Own strategies in packages beside the configuration."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from engine.backtest.config import StrategySection
from engine.backtest.strategy_loading import StrategyLoadError, build_strategy, find_strategy_type

PART = """
    from engine.strategies.strategy import Strategy

    class Mine(Strategy):
        warmup = {warmup}

        def on_bar(self, bar):
            pass
"""


def warmup_in(folder: Path, warmup: int, *, kind: str = "own_pkg.Mine") -> int:
    package = folder / "own_pkg"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("from .part import Mine\n", encoding="utf-8")
    (package / "part.py").write_text(dedent(PART.format(warmup=warmup)), encoding="utf-8")
    section = StrategySection.model_validate({"class": kind})
    found = find_strategy_type(section, base_dir=folder, allow_imports=["own_pkg"])
    return build_strategy(found, {}).warmup


@pytest.mark.parametrize("kind", ["own_pkg.Mine", "own_pkg.part.Mine"])
def test_a_package_beside_the_file_is_found_with_its_own_parts(tmp_path: Path, kind: str) -> None:
    assert warmup_in(tmp_path, 7, kind=kind) == 7


def test_packages_that_differ_in_a_part_only_are_not_taken_for_each_other(tmp_path: Path) -> None:
    assert [warmup_in(tmp_path / str(one), one) for one in (3, 4)] == [3, 4]
    assert warmup_in(tmp_path / "3", 5) == 5  # changed since it was loaded


def test_a_package_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    (tmp_path / "own_pkg").mkdir()
    (tmp_path / "own_pkg" / "__init__.py").write_text("import nothing_there\n", encoding="utf-8")
    section = StrategySection.model_validate({"class": "own_pkg.Mine"})
    with pytest.raises(StrategyLoadError, match=r"__init__\.py:1: module: ModuleNotFoundError"):
        find_strategy_type(section, base_dir=tmp_path, allow_imports=["own_pkg"])


def test_decimals_that_were_kept_as_text_are_decimals_again(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from engine.strategies.strategy import Strategy\n\n\n"
        "class Own(Strategy):\n"
        "    def __init__(self, **given):\n"
        "        super().__init__()\n"
        "        self.given = given\n",
        encoding="utf-8",
    )
    section = StrategySection.model_validate({"class": "own.Own"})
    kind = find_strategy_type(section, base_dir=tmp_path, allow_imports=["own"])
    given = {"a": "0.5", "b": 3, "c": "007", "d": "fast", "e": ["1.25", {"f": "-2"}], "g": "nan"}
    made: Any = build_strategy(kind, given)
    assert made.given == {
        "a": Decimal("0.5"),
        "b": 3,
        "c": "007",
        "d": "fast",
        "e": [Decimal("1.25"), {"f": Decimal(-2)}],
        "g": "nan",
    }
