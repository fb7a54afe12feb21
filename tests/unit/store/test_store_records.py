"""Records, batches and tables fit each other."""

from __future__ import annotations

from dataclasses import fields

import pytest

from engine.store import tables
from engine.store.batch import StoreBatch
from engine.store.records import AuditRecord, SessionRecord, SessionStatus, SessionUpdate


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        (SessionStatus.CREATED, False),
        (SessionStatus.RUNNING, False),
        (SessionStatus.PAUSED, False),
        (SessionStatus.STOPPING, False),
        (SessionStatus.STOPPED, True),
        (SessionStatus.INTERRUPTED, True),
        (SessionStatus.FAILED, True),
    ],
)
def test_only_ended_sessions_are_final(status: SessionStatus, is_final: bool) -> None:
    assert status.is_final is is_final


def test_every_status_is_in_the_table_above() -> None:
    assert len(SessionStatus) == 7


@pytest.mark.parametrize("record", tables.TABLE_OF_RECORD, ids=lambda record: str(record.__name__))
def test_a_record_has_the_columns_of_its_table_in_their_order(record: type) -> None:
    columns = [column.name for column in tables.TABLE_OF_RECORD[record].columns]
    if record is AuditRecord:
        columns.remove("seq")
    assert [entry.name for entry in fields(record)] == columns


def test_an_update_names_columns_of_the_session() -> None:
    session = {entry.name for entry in fields(SessionRecord)}
    assert {entry.name for entry in fields(SessionUpdate)} <= session


def test_every_table_is_strict_and_belongs_to_a_record() -> None:
    assert set(tables.metadata.tables.values()) == set(tables.TABLE_OF_RECORD.values())
    assert all(
        table.dialect_options["sqlite"]["strict"] for table in tables.metadata.tables.values()
    )


def test_the_row_count_of_a_batch_counts_every_kind() -> None:
    full = {entry.name: (object(),) for entry in fields(StoreBatch)}
    assert StoreBatch(**full).row_count == len(full)  # type: ignore[arg-type]  # only counted
    assert StoreBatch().row_count == 0
