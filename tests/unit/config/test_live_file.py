"""Live trading files: the sample, and mistakes with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.backtest_files import check_backtest_file
from engine.config.document import ConfigError
from engine.config.live_file import load_live_file, read_live_file

QUIET = """\
from engine.strategies.strategy import Strategy


class Quiet(Strategy):
    def __init__(self, n=1):
        super().__init__()
"""
SAMPLE = Path(__file__).resolve().parents[3] / "sample_configs" / "live.yaml"


def test_the_sample_can_be_loaded() -> None:
    config = load_live_file(SAMPLE)
    strategy = config.components.strategy
    assert strategy is not None
    assert strategy.kind == "sma_cross"
    assert config.components.risk_manager.guards().max_daily_loss is not None
    assert check_backtest_file(SAMPLE) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("sma_cross", "sma_corss"), "13: live_trading.components.strategy.class: strategy"),
        (("fast: 10", "fast: 99"), "13: live_trading.components.strategy.params: fast 99 must"),
        (("max_position_size", "max_positon_size"), "did you mean 'max_position_size'?"),
        (("PAPER_TRADING", "BACKTEST"), "7: live_trading.mode: 'BACKTEST' is not allowed"),
        (
            ("PAPER_TRADING", "LIVE_TRADING"),
            (
                "16: live_trading.components.broker.class: 'SimulatedBroker' is not allowed in "
                "mode LIVE_TRADING, must be 'LiveBroker'"
            ),
        ),
        (
            ("SimulatedBroker", "LiveBroker"),
            (
                "16: live_trading.components.broker.class: 'LiveBroker' is not allowed in mode "
                "PAPER_TRADING, must be 'SimulatedBroker'"
            ),
        ),
        (("live_trading:", "live:"), "live_trading: is missing"),
    ],
    ids=["class", "params", "key", "mode", "live", "broker", "section"],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(SAMPLE.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_live_file(path)
    assert any(expected in text for text in caught.value.problems), caught.value.problems


def test_a_strategy_of_the_users_own_is_imported_where_the_file_allows_it(tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    text = text.replace("class: sma_cross", "class: mine_live.Quiet").replace(
        "params: {fast: 10, slow: 30}", "params: {n: 2}"
    )
    path = tmp_path / "live.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"13: .*or package.module.Class with its package in"):
        read_live_file(path)
    path.write_text(
        text.replace("  container_type: live\n", "  container_type: live\n  allow_imports: [os]\n"),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="package 'mine_live' may not be imported"):
        read_live_file(path)
    (tmp_path / "mine_live.py").write_text(QUIET, encoding="utf-8")
    with pytest.raises(ConfigError, match="add mine_live to it if you trust its code"):
        read_live_file(path)
    path.write_text(
        path.read_text(encoding="utf-8").replace("[os]", "[mine_live]"), encoding="utf-8"
    )
    file = read_live_file(path)
    assert type(file.kind.build({"n": 2})).__name__ == "Quiet"


@pytest.mark.parametrize("place", ["my_pkg/momentum.py", "my_pkg/__init__.py", "my_pkg.py"])
def test_a_module_with_one_strategy_names_it(tmp_path: Path, place: str) -> None:
    module = tmp_path / place
    module.parent.mkdir(exist_ok=True)
    is_module = module.stem == "momentum"
    text = QUIET if is_module else QUIET.replace("class Quiet", "class momentum")
    module.write_text(text, encoding="utf-8")
    path = tmp_path / "live.yaml"
    sample = SAMPLE.read_text(encoding="utf-8")
    path.write_text(
        sample.replace("class: sma_cross", "class: my_pkg.momentum")
        .replace("params: {fast: 10, slow: 30}", "params: {}")
        .replace("  container_type: live\n", "  container_type: live\n  allow_imports: [my_pkg]\n"),
        encoding="utf-8",
    )
    made = read_live_file(path).kind.build({})
    assert type(made).__name__ == ("Quiet" if is_module else "momentum")
    if is_module:
        module.write_text(f"{QUIET}\n\nclass Other(Quiet):\n    pass\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"my_pkg\.momentum\.Quiet, my_pkg\.momentum\.Other"):
            read_live_file(path)


def test_overlays_and_origins(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(
        SAMPLE.read_text(encoding="utf-8") + "\nprofiles:\n  slow: {bar_s: 300}\n",
        encoding="utf-8",
    )
    file = read_live_file(path, profile="slow", overrides=["seed=7"])
    assert (file.config.bar_s, file.config.seed) == (300, 7)
    assert file.layered.origin(("live_trading", "seed")) == "command line"
    assert file.layered.origin(("live_trading", "bar_s")).startswith("profile slow")
    with pytest.raises(ConfigError, match="profile 'fast' is not in the file"):
        read_live_file(path, profile="fast")
