"""Migrations lead from every released schema to the tables that the code uses."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.store.connections import migrating_engine
from engine.store.database_file import DATABASE_NAME, SCHEMA_VERSION, inspect_database
from engine.store.errors import StoreError
from engine.store.migrating import SCRIPTS, migrate
from engine.store.tables import metadata

RELEASED = range(1, SCHEMA_VERSION + 1)

NEXT_REVISION = f'''
from alembic import op
revision = "{SCHEMA_VERSION + 1:04d}"
down_revision = "{SCHEMA_VERSION:04d}"

def upgrade():
    op.execute("CREATE TABLE added (x INTEGER) STRICT")
    op.execute("{{last}}")
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    database = tmp_path / "da ta%s" / DATABASE_NAME
    database.parent.mkdir()
    inspect_database(database)
    return database


def scripts_with_next_revision(tmp_path: Path, *, last: str) -> Path:
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "v9999_next.py").write_text(NEXT_REVISION.format(last=last))
    return scripts


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def flags_of_tables(path: Path) -> set[tuple[str, int, int]]:
    """Return name, WITHOUT ROWID and STRICT of every table of ours."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            (name, without_rowid, strict)
            for _, name, kind, _, without_rowid, strict in connection.execute("PRAGMA table_list")
            if kind == "table" and not name.startswith(("sqlite_", "alembic_"))
        }


@pytest.mark.parametrize("released", RELEASED)
def test_every_released_schema_becomes_the_one_in_use(path: Path, released: int) -> None:
    migrate(path, version=0, target=f"{released:04d}")
    assert inspect_database(path) == released
    if released < SCHEMA_VERSION:
        migrate(path, version=released)
    engine = migrating_engine(path)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrated_tables_are_as_strict_as_the_tables_in_use(path: Path, tmp_path: Path) -> None:
    migrate(path, version=0)
    direct = tmp_path / "direct.db"
    direct.touch()
    engine = migrating_engine(direct)
    metadata.create_all(engine)
    engine.dispose()
    assert flags_of_tables(path) == flags_of_tables(direct)
    assert all(strict for _, _, strict in flags_of_tables(path))


def test_the_history_is_linear_and_ends_at_the_known_version() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    script = ScriptDirectory.from_config(config)
    revisions = [step.revision for step in script.walk_revisions()][::-1]
    assert revisions == [f"{number:04d}" for number in RELEASED]
    assert script.get_heads() == [f"{SCHEMA_VERSION:04d}"]


def test_an_upgrade_keeps_the_rows_and_leaves_a_private_copy(path: Path, tmp_path: Path) -> None:
    migrate(path, version=0)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO audit VALUES (1, 'e', 'start', 'me', 'x', NULL, 1, 2, 'completed', '')"
        )
    scripts = scripts_with_next_revision(tmp_path, last="SELECT 1")
    migrate(path, version=SCHEMA_VERSION, scripts=scripts)
    copy = path.with_name(f"{DATABASE_NAME}.v{SCHEMA_VERSION}")
    assert pragma(path, "user_version") == SCHEMA_VERSION + 1
    assert pragma(copy, "user_version") == SCHEMA_VERSION
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    for database in (path, copy):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("SELECT event_id FROM audit").fetchall() == [("e",)]


def test_a_revision_that_fails_changes_nothing(path: Path, tmp_path: Path) -> None:
    migrate(path, version=0)
    before = flags_of_tables(path)
    scripts = scripts_with_next_revision(tmp_path, last="INSERT INTO nowhere VALUES (1)")
    with pytest.raises(StoreError) as caught:
        migrate(path, version=SCHEMA_VERSION, scripts=scripts)
    assert "no such table: nowhere; it is unchanged" in caught.value.message
    assert flags_of_tables(path) == before
    assert inspect_database(path) == SCHEMA_VERSION


@pytest.mark.parametrize("table", ["journal", "audit"])
@pytest.mark.parametrize(
    "verb", ["UPDATE {} SET kind = 'x'", "DELETE FROM {}"], ids=["update", "delete"]
)
def test_journal_and_audit_only_grow(path: Path, table: str, verb: str) -> None:
    migrate(path, version=0)
    rows = {
        "journal": "('s', 1, 2, 'timer', '')",
        "audit": "(1, 'e', 'start', 'me', 'x', NULL, 1, 2, 'completed', '')",
    }
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"INSERT INTO {table} VALUES {rows[table]}")  # noqa: S608 (literals above)
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
            connection.execute(verb.format(table))
