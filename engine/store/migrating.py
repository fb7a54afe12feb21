"""Bring a database to the newest schema. Alembic loads slowly: import this only when needed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from engine.store.connections import migrating_engine, reason_of
from engine.store.data_dir import FILE_MODE
from engine.store.database_file import APPLICATION_ID
from engine.store.errors import StoreError

SCRIPTS: Final = Path(__file__).parent / "migrations"


def migrate(path: Path, *, version: int, scripts: Path = SCRIPTS, target: str = "head") -> None:
    """Run every revision after *version* on the database *path*, all of them or none.

    A database with rows is copied to `<name>.v<version>` first; the copy is the way back. Blocks:
    call it in a thread, under the directory's lock.

    Raises:
        StoreError: the copy or a revision failed; the database is as it was.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    reached = ScriptDirectory.from_config(config).get_revision(target).revision
    try:
        if version:
            _copy(path, path.with_name(f"{path.name}.v{version}"))
        engine = migrating_engine(path)
        try:
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, target)
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {int(reached)}")
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StoreError(
            f"the database {path} could not be brought from schema version {version} to {reached}: "
            f"{reason_of(error)}; it is unchanged: free some disk space, or go back to the earlier "
            "quarterdeck",
            details={"path": str(path), "version": version, "target": reached},
            cause=error,
        ) from error


def _copy(path: Path, copy: Path) -> None:
    """Write a verified copy of the database."""
    copy.unlink(missing_ok=True)
    copy.touch(mode=FILE_MODE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with closing(sqlite3.connect(copy)) as connection:
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise sqlite3.DatabaseError(f"the copy {copy} is damaged: {finding}")
