"""Live trading files: the sample, and mistakes with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.backtest_files import check_backtest_file
from engine.config.document import ConfigError
from engine.config.live_file import load_live_file

SAMPLE = Path(__file__).resolve().parents[3] / "sample_configs" / "live.yaml"


def test_the_sample_can_be_loaded() -> None:
    config = load_live_file(SAMPLE)
    assert config.components.strategy.kind == "sma_cross"
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
            "16: live_trading.components.broker.class: 'SimulatedBroker' is not allowed in mode "
            "LIVE_TRADING, must be 'LiveBroker'",
        ),
        (
            ("SimulatedBroker", "LiveBroker"),
            "16: live_trading.components.broker.class: 'LiveBroker' is not allowed in mode "
            "PAPER_TRADING, must be 'SimulatedBroker'",
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
