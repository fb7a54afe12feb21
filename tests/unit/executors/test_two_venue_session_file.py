"""A session file whose two-venue executor names a market that the file has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.document import ConfigError
from engine.config.session_plan import load_session_plan
from tui.paths import asset_dir


@pytest.mark.parametrize("name", ["arbitrage", "xemm"])
def test_an_unknown_market_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    sample = Path(str(asset_dir("sample_configs"))) / "executors" / f"{name}.yaml"
    path = tmp_path / "session.yaml"
    path.write_text(sample.read_text().replace(": venue_south:BTC", ": venue_east:BTC"))
    with pytest.raises(ConfigError) as caught:
        load_session_plan(path)
    text = str(caught.value)
    assert "ing_market: market 'venue_east:BTC-USDT' is not known" in text
    assert "allowed: venue_north:BTC-USDT, venue_south:BTC-USDT" in text
