"""Sessions in this process: an engine on a short session file, its store read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

SAMPLES = Path(__file__).resolve().parents[3] / "sample_configs"

WriteSession = Callable[..., Path]


@pytest.fixture(autouse=True)
def _blocking_calls_are_errors() -> Iterator[None]:
    with blockbuster_ctx("engine"):
        yield


@pytest.fixture
def write_session(tmp_path: Path) -> WriteSession:
    """Return a writer of copies of bundled sessions with changes from one text to another."""

    def write(sample: str, changes: Mapping[str, str]) -> Path:
        text = (SAMPLES / sample).read_text(encoding="utf-8")
        text = text.replace("path: data/", f"path: {SAMPLES}/data/")
        for old, new in changes.items():
            assert text.count(old) == 1, f"{sample} does not say {old!r} once"
            text = text.replace(old, new)
        path = tmp_path / sample
        path.write_text(text, encoding="utf-8")
        return path

    return write
