"""Where things are: assets in the wheel or the checkout, state where the platform wants it."""

from __future__ import annotations

import os
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

DATA_DIR_VARIABLE: Final = "QUARTERDECK_DATA_DIR"
CONFIG_DIR_VARIABLE: Final = "QUARTERDECK_CONFIG_DIR"


def asset_dir(name: str) -> Traversable:
    """Return the directory *name*, from the wheel or from the checkout.

    Raises:
        FileNotFoundError: it is in neither.
    """
    bundled = files("tui").joinpath("_data", name)
    if bundled.is_dir():
        return bundled
    checkout = Path(__file__).resolve().parent.parent / name
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(f"no asset directory {name!r} in the wheel or the checkout")


def data_dir(override: str | None = None) -> Path:
    """Return the state directory: *override*, else the environment's, else the platform's.

    Nothing is created.
    """
    chosen = override or os.environ.get(DATA_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("quarterdeck", appauthor=False)


def config_dir() -> Path:
    """Return the directory of the user's settings; nothing is created."""
    chosen = os.environ.get(CONFIG_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_config_path

    return user_config_path("quarterdeck", appauthor=False)


def session_file(given: str | None) -> Path:
    """Return the path of a session configuration.

    None is the embedded default. A path that does not exist here but names a bundled sample
    (``paper.yaml``, ``sample_configs/paper.yaml``) is that sample, so the README's commands work in
    any directory. Any other path is returned as it is; loading it reports what is wrong.
    """
    if given is None:
        return _sample("paper.yaml")
    path = Path(given).expanduser()
    if not path.exists() and not path.is_absolute():
        sample = _sample(given.removeprefix("sample_configs/"))
        if sample.is_file():
            return sample
    return path


def _sample(name: str) -> Path:
    return Path(str(asset_dir("sample_configs").joinpath(name)))


def sample_backtests() -> dict[str, str]:
    """Return the paths of the backtest files that came with quarterdeck, by short name."""
    names = sorted(one.name for one in asset_dir("sample_configs").iterdir())
    found = [name for name in names if name.startswith("backtest") and name.endswith(".yaml")]
    found.sort(key=lambda name: name != "backtest.yaml")
    folder = asset_dir("sample_configs")
    return {
        name.removesuffix(".yaml").removeprefix("backtest").lstrip("-") or "sma_cross": str(
            folder.joinpath(name)
        )
        for name in found
    }


def sample_optimizations() -> dict[str, str]:
    """Return the paths of the optimisation files that came with quarterdeck, by name."""
    folder = asset_dir("sample_configs")
    names = sorted(one.name for one in folder.iterdir())
    return {
        name: str(folder.joinpath(name))
        for name in names
        if name.startswith("optimization") and name.endswith(".yaml")
    }
