"""The names that a reader of a specification looks for are where the package is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import engine.executors as package
from engine.executors import barriers, progressive_config


@pytest.mark.parametrize("name", package.__all__)
def test_every_name_is_there_on_first_use(name: str) -> None:
    assert getattr(package, name) is not None
    assert name in dir(package)


def test_the_names_are_those_of_the_modules() -> None:
    assert package.TripleBarrierConfig is barriers.TripleBarrierConfig
    assert package.LadderedTrailingStop is progressive_config.LadderedTrailingStop
    assert package.YieldTripleBarrierConfig is progressive_config.YieldTripleBarrierConfig


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'LPExecutor'"):
        package.__getattr__("LPExecutor")


def test_importing_the_package_loads_none_of_its_modules() -> None:
    code = "import sys, engine.executors; print([m for m in sys.modules if 'executors.' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
