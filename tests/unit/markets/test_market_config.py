from __future__ import annotations

from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.config.document import ConfigError, load_document, validate
from engine.flow.errors import ConfigurationError
from engine.markets.config import MarketConfig, MarketConfigError, VenueConfig, build_source
from engine.markets.data_report import MarketDataError
from engine.markets.replay import ReplaySource
from engine.markets.source import MarketSource
from engine.markets.synthetic import SyntheticSource
from engine.model.instruments import ConnectorPair, Settlement

SAMPLES = Path(__file__).parents[3] / "sample_configs"


class Markets(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    venues: tuple[VenueConfig, ...] = (VenueConfig(),)
    markets: tuple[MarketConfig, ...]


def btc(**changes: Any) -> MarketConfig:
    settings: dict[str, Any] = {
        "pair": "BTC-USDT",
        "tick": "0.1",
        "lot": "0.00001",
        "source": {"kind": "synthetic"},
    }
    return MarketConfig.model_validate(settings | changes)


def eur(**changes: Any) -> MarketConfig:
    source = {"kind": "replay", "path": "data/eurusd-1h.csv", "bar": "1h"} | changes.pop(
        "source", {}
    )
    return MarketConfig.model_validate({"pair": "EUR-USD", "lot": "1", "source": source} | changes)


def build(
    config: MarketConfig,
    venue: VenueConfig | None = None,
    *,
    base_dir: Path = SAMPLES,
    seed: int = 1,
) -> MarketSource:
    return build_source(config, venue or VenueConfig(), base_dir=base_dir, seed=seed)


def first_stamps(source: MarketSource) -> list[int]:
    return [tick.ts_ns for tick in islice(source.ticks(0), 20)]


def test_a_synthetic_market() -> None:
    source = build(btc(min_amount="0.0001", min_notional=5))
    assert isinstance(source, SyntheticSource)
    instrument = source.instrument
    assert source.market == instrument.market == ConnectorPair("paper_perpetual", "BTC-USDT")
    assert instrument.tick == Decimal("0.1")
    assert instrument.min_lots == 10
    assert instrument.min_notional_atoms == 500_000_000
    assert instrument.is_perpetual
    assert instrument.shortable
    assert (instrument.maker_ppb, instrument.taker_ppb) == (200_000, 500_000)


def test_a_spot_venue_with_a_rebate() -> None:
    venue = VenueConfig(
        name="paper_spot", kind="spot", maker_fee=Decimal("-0.0001"), taker_fee=Decimal("0.001")
    )
    instrument = build(btc(venue="paper_spot"), venue).instrument
    assert instrument.settlement is Settlement.SPOT
    assert not instrument.shortable
    assert (instrument.maker_ppb, instrument.taker_ppb) == (-100_000, 1_000_000)


def test_a_replayed_market_infers_its_tick() -> None:
    source = build(eur())
    assert isinstance(source, ReplaySource)
    assert source.instrument.tick == Decimal("0.00001")
    assert next(source.ticks(9)).ts_ns == 9


def test_a_replayed_market_keeps_a_configured_tick() -> None:
    assert build(eur(tick="0.0001")).instrument.tick == Decimal("0.0001")


def test_the_session_seed_counts_unless_the_market_has_its_own() -> None:
    one, two = first_stamps(build(btc(), seed=1)), first_stamps(build(btc(), seed=2))
    assert one != two
    own = btc(source={"kind": "synthetic", "seed": 2})
    assert first_stamps(build(own, seed=1)) == two


def test_an_absolute_data_path_is_not_joined_to_the_folder(tmp_path: Path) -> None:
    path = str((SAMPLES / "data" / "eurusd-1h.csv").resolve())
    assert build(eur(source={"path": path}), base_dir=tmp_path).instrument.lot == 1


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        (btc(tick=None), ("tick",), "is missing, a synthetic market needs its price step"),
        (
            btc(source={"kind": "synthetic", "start_price": "0.5"}),
            ("source", "start_price"),
            "0.5 is below 10 ticks of 0.1, use a finer tick",
        ),
        (
            btc(lot="0.00000001"),
            ("lot",),
            "1E-8 does not fit the tick 0.1: tick x lot must be a multiple of 1e-8",
        ),
        (
            eur(source={"path": "data/absent.csv"}),
            ("source", "path"),
            "'data/absent.csv' does not exist (looked at ",
        ),
        (eur(source={"path": "data"}), ("source", "path"), "'data' is a directory (looked at "),
        (
            eur(source={"timezone": "Mars"}),
            ("source", "timezone"),
            "time zone 'Mars' is not known, use a name such as Europe/Berlin",
        ),
    ],
)
def test_what_cannot_be_built_names_its_field(
    config: MarketConfig, path: tuple[str, ...], said: str
) -> None:
    with pytest.raises(MarketConfigError) as caught:
        build(config)
    assert caught.value.path == path
    assert caught.value.text.startswith(said)
    assert str(caught.value) == f"{'.'.join(path)}: {caught.value.text}"
    assert isinstance(caught.value, ConfigurationError)


def test_a_corrupt_data_file_names_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("date,o,h,l,c\n2024-01-01,1,2,x,1\n", encoding="utf-8")
    with pytest.raises(MarketDataError, match=r"bad\.csv:2: low: 'x' is not a number"):
        build(eur(source={"path": "bad.csv", "bar": None}), base_dir=tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pair": "BTCUSDT"}, "must be BASE-QUOTE"),
        ({"pair": "btc-usdt"}, "must be BASE-QUOTE in capital letters"),
        ({"pair": "BTC-"}, "must be BASE-QUOTE"),
        ({"pair": "A-B-C"}, "must be BASE-QUOTE"),
        ({"lot": 0}, "greater than or equal to 1E-12"),
        ({"lot": True}, "Decimal input should be"),
        ({"tick": "-1"}, "greater than or equal to 1E-12"),
        ({"min_notional": -1}, "greater than or equal to 0"),
        ({"source": {"kind": "live"}}, "'synthetic', 'replay'"),
        ({"leverage": 3}, "Extra inputs"),
    ],
)
def test_market_settings_outside_their_range(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        btc(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Paper Venue"}, "match pattern"),
        ({"kind": "margin"}, "'perpetual' or 'spot'"),
        ({"maker_fee": "0.2"}, "less than or equal to 0.1"),
        ({"taker_fee": "0.00000000001"}, "must have at most nine decimals"),
        ({"position_mode": "BOTH"}, "must be one of HEDGE, ONEWAY, got 'BOTH'"),
        ({"position_mode": "HEDGE", "kind": "spot"}, "paper_perpetual is a spot venue"),
    ],
)
def test_venue_settings_outside_their_range(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        VenueConfig.model_validate(changes)


def test_markets_are_read_from_a_document_and_mistakes_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "session.yaml"
    text = """\
venues:
  - name: paper_perpetual
    maker_fee: 0.0001
markets:
  - pair: BTC-USDT
    tick: 0.1
    lot: 1e-5
    source:
      kind: synthetic
      intensity_per_s: 2.5
  - pair: EUR-USD
    lot: 1
    source: {kind: replay, path: data.csv, bar: 1h, skip_gaps: no}
"""
    path.write_text(text, encoding="utf-8")
    document = load_document(path)
    config = validate(document, Markets)
    assert config.venues[0].maker_fee == Decimal("0.0001")
    assert config.markets[0].lot == Decimal("0.00001")
    with pytest.raises(MarketConfigError) as missing:
        build(config.markets[1], base_dir=document.base_dir)
    located = document.error(("markets", 1, *missing.value.path), missing.value.text)
    assert str(located).startswith(f"{path}:13: markets.1.source.path: 'data.csv' does not exist")

    path.write_text(text.replace("intensity_per_s", "intensity"), encoding="utf-8")
    with pytest.raises(ConfigError) as unknown:
        validate(load_document(path), Markets)
    assert str(unknown.value).startswith(
        f"{path}:10: markets.0.source.intensity: is not a known key, did you mean "
        "'intensity_per_s'?"
    )


def test_every_setting_has_a_help_text() -> None:
    schema = Markets.model_json_schema()
    for name, section in schema["$defs"].items():
        for key, field in section.get("properties", {}).items():
            if key != "kind" or name == "VenueConfig":
                assert field.get("description"), f"{name}.{key}"
