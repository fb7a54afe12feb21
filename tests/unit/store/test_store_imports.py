"""Heavy packages load when a store is opened, Alembic only when there is something to migrate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = "('sqlalchemy', 'alembic', 'aiosqlite')"


def loaded_after(code: str) -> str:
    script = f"{code}\nimport sys\nprint(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["store", "session_list", "records", "batch", "journal_hash"])
def test_importing_loads_no_database_code(module: str) -> None:
    assert loaded_after(f"import engine.store.{module}") == ""


def test_an_up_to_date_database_opens_without_alembic(tmp_path: Path) -> None:
    opening = f"""
import anyio
from pathlib import Path
from engine.store.store import Store
async def main():
    async with Store.open(Path({str(tmp_path)!r}), now_ns=0):
        pass
anyio.run(main)
"""
    assert loaded_after(opening) == "aiosqlite alembic sqlalchemy"
    assert loaded_after(opening) == "aiosqlite sqlalchemy"


def test_listing_sessions_loads_no_database_code(tmp_path: Path) -> None:
    listing = f"""
from pathlib import Path
from engine.store.session_list import list_sessions
assert list_sessions(Path({str(tmp_path)!r})) == ()
"""
    assert loaded_after(listing) == ""
