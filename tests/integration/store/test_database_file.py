"""What a database file must be before it is opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from engine.store.database_file import (
    APPLICATION_ID,
    DATABASE_NAME,
    SCHEMA_VERSION,
    check_library,
    inspect_database,
)
from engine.store.errors import StoreError
from engine.store.migrating import migrate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / DATABASE_NAME


@pytest.fixture
def current(path: Path) -> Path:
    """Return a database of the current version."""
    migrate(path, version=inspect_database(path))
    return path


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    path.chmod(0o600)


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=oct)
def test_a_missing_database_is_created_private_and_empty(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert inspect_database(path) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_current_database_has_the_current_version(current: Path) -> None:
    assert inspect_database(current) == SCHEMA_VERSION


def test_the_header_says_whose_database_it_is(current: Path) -> None:
    with closing(sqlite3.connect(current)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert current.read_bytes()[68:72] == b"QDCK"


def test_a_newer_version_is_refused_with_both_versions(current: Path) -> None:
    newer = SCHEMA_VERSION + 6
    execute(current, f"PRAGMA user_version = {newer}")
    with pytest.raises(StoreError) as caught:
        inspect_database(current)
    assert caught.value.message == (
        f"the database {current} was written by a newer quarterdeck: it has schema version {newer} "
        f"and this one knows {SCHEMA_VERSION}; upgrade quarterdeck or name another directory with "
        "--data-dir"
    )


@pytest.mark.parametrize("application_id", [0, 42])
def test_a_foreign_database_is_refused(path: Path, application_id: int) -> None:
    execute(path, f"PRAGMA application_id = {application_id}", "CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="belongs to another program; name another directory"):
        inspect_database(path)


def test_a_foreign_database_without_tables_is_refused(path: Path) -> None:
    execute(path, "PRAGMA application_id = 42")
    with pytest.raises(StoreError, match="belongs to another program"):
        inspect_database(path)


def test_a_database_that_was_cut_off_before_its_first_table_is_empty(path: Path) -> None:
    execute(path, "PRAGMA journal_mode = WAL")
    assert inspect_database(path) == 0


def test_a_file_that_is_no_database_is_refused_with_what_to_do(path: Path) -> None:
    path.write_text("not a database, but long enough to be read as one\n" * 40)
    path.chmod(0o600)
    with pytest.raises(StoreError) as caught:
        inspect_database(path)
    assert caught.value.message == (
        f"the database {path} is damaged or cannot be read: file is not a database; move "
        f"{DATABASE_NAME}* out of its directory to start with an empty one, or put a backup in its "
        "place"
    )


def test_a_damaged_page_is_found_before_the_database_is_used(current: Path) -> None:
    content = bytearray(current.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    current.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"is damaged or cannot be read: .+; move quarterdeck.db\*"
    ):
        inspect_database(current)


def test_a_truncated_database_is_refused(current: Path) -> None:
    current.write_bytes(current.read_bytes()[: 4096 * 3])
    with pytest.raises(StoreError, match="is damaged or cannot be read"):
        inspect_database(current)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666], ids=oct)
def test_a_database_open_to_others_is_refused_with_the_command(current: Path, mode: int) -> None:
    current.chmod(mode)
    with pytest.raises(StoreError, match=rf"\(mode {mode:04o}\); run: chmod 600 {current}\*"):
        inspect_database(current)


def test_a_directory_in_place_of_the_database_is_refused(path: Path) -> None:
    path.mkdir(mode=0o700)
    with pytest.raises(StoreError, match="is damaged or cannot be read: unable to open"):
        inspect_database(path)


def test_a_page_that_is_lost_is_found(current: Path) -> None:
    """The header claims five free pages; there are none."""
    content = bytearray(current.read_bytes())
    content[36:40] = (5).to_bytes(4, "big")
    current.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"is damaged or cannot be read: [^\n]*[Ff]reelist[^\n]*; move"
    ):
        inspect_database(current)


def test_an_old_library_is_refused_with_both_versions() -> None:
    with pytest.raises(StoreError, match=r"comes with SQLite 3.36.0, quarterdeck needs 3.37 or"):
        check_library((3, 36, 0))
    check_library((3, 37, 0))
