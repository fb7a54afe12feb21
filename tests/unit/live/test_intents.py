"""LIVE-8: client ids from (strategy, persistent counter), written before sending."""

from __future__ import annotations

import errno
import io
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.live.intent_log import (
    CancelIntent,
    FileIntentLog,
    IntentLogError,
    IntentRecord,
    MemoryIntentLog,
    ReportRecord,
    SubmitIntent,
)
from engine.live.order_codec import (
    report_from_json,
    report_to_json,
    request_from_json,
    request_to_json,
)
from engine.live.order_ids import OrderIds, number_of, prefix_of, strategy_of
from engine.model.instruments import ConnectorPair
from engine.model.orders import (
    Fill,
    OrderRequest,
    OrderTrigger,
    OrderType,
    PositionAction,
    TimeInForce,
    TradeType,
    TriggerKind,
)

MARKET = ConnectorPair("fake", "ACME-USD")


def request(client_order_id: str = "live_one-O00000003", **more: object) -> OrderRequest:
    values: dict[str, object] = {
        "client_order_id": client_order_id,
        "market": MARKET,
        "side": TradeType.BUY,
        "order_type": OrderType.LIMIT,
        "lots": 5,
        "limit_ticks": 100,
        "position_action": PositionAction.OPEN,
        "leverage": 1,
        "owner_id": "strategy",
        "role": "strategy",
        **more,
    }
    return OrderRequest(**values)  # type: ignore[arg-type]


FILL = Fill(
    "T1", "live_one-O00000003", "strategy", "strategy", MARKET, TradeType.BUY, 5, 100, 500, 1,
    is_maker=True, ts_ns=7, fee_in=("BNB", Decimal("0.001")),
)  # fmt: skip
REPORTS: list[OrderReport] = [
    OrderAccepted("live_one-O00000003", 1),
    OrderRejected("live_one-O00000003", 1, ReasonCode.VENUE, "no"),
    OrderFilled(FILL),
    OrderCancelled("live_one-O00000003", 1, ReasonCode.USER),
    OrderExpired("live_one-O00000003", 1, ReasonCode.GTD),
    CancelRejected("live_one-O00000003", 1, ReasonCode.ORDER_DONE),
]
RECORDS: list[IntentRecord] = [
    SubmitIntent(request(), 1),
    CancelIntent("live_one-O00000003", 2),
    *(ReportRecord(one, 3) for one in REPORTS),
]


class FullDisk(io.RawIOBase):
    """Takes ten bytes of what is written and has no room for the rest."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self._room = 10

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all it gets
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room, self._room = self._room, 0
        return self._file.write(data[:room]) or 0

    def fileno(self) -> int:
        return self._file.fileno()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)


def test_ids_count_up_from_where_an_earlier_life_ended() -> None:
    ids = OrderIds("one", first=7)
    assert [ids(), ids()] == ["live_one-O00000007", "live_one-O00000008"]
    assert prefix_of("one") == "live_one"


@given(
    strategy=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    number=st.integers(0, 10**12),
)
def test_an_id_says_whose_it_is(strategy: str, number: int) -> None:
    client_order_id = OrderIds(strategy, first=number)()
    assert strategy_of(client_order_id) == strategy
    assert number_of(client_order_id) == number


@pytest.mark.parametrize(
    "text", ["", "foreign-1", "live_one", "live_one-O12", "x-O00000001", "live_"]
)
def test_other_ids_are_nobodys(text: str) -> None:
    assert strategy_of(text) is None
    assert number_of(text) == -1


@pytest.mark.parametrize(
    "order",
    [
        request(),
        request(limit_ticks=None, order_type=OrderType.MARKET, reduce_only=True),
        request(time_in_force=TimeInForce.GTD, expire_ns=99),
        request(trigger=OrderTrigger(TriggerKind.TRAILING, trail_ppb=3, activation_ticks=9)),
    ],
    ids=["limit", "market", "gtd", "trailing"],
)
def test_an_order_is_the_same_after_it_was_written(order: OrderRequest) -> None:
    assert request_from_json(request_to_json(order)) == order


@pytest.mark.parametrize("report", REPORTS, ids=lambda one: type(one).__name__)
def test_a_report_is_the_same_after_it_was_written(report: OrderReport) -> None:
    assert report_from_json(report_to_json(report)) == report


def test_a_log_keeps_records_by_strategy_and_knows_the_next_number(tmp_path: Path) -> None:
    path = tmp_path / "intents.jsonl"
    log = FileIntentLog(path)
    for record in RECORDS:
        log.append(record)
    log.append(SubmitIntent(request("live_two-O00000041"), 5))
    log.close()
    again = FileIntentLog(path)
    assert list(again.records("one")) == RECORDS
    assert len(again.records("two")) == 1
    assert again.records("three") == ()
    numbers = [again.next_number(name) for name in ("one", "two", "three")]
    assert numbers == [4, 42, 0]
    again.close()


def test_a_line_that_a_crash_cut_short_was_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "intents.jsonl"
    log = FileIntentLog(path)
    log.append(RECORDS[0])
    log.close()
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:cut])
        again = FileIntentLog(path)
        assert list(again.records("one")) == RECORDS[:1]
        again.append(RECORDS[1])
        again.close()
        third = FileIntentLog(path)
        assert list(third.records("one")) == RECORDS[:2]
        third.close()


def test_a_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "intents.jsonl"
    path.write_text('{"kind":"nothing"}\n{}\n', encoding="utf-8")
    with pytest.raises(IntentLogError, match=r"intents.jsonl:1: is no record"):
        FileIntentLog(path)


def test_a_log_that_cannot_be_opened_or_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(IntentLogError, match="cannot be opened"):
        FileIntentLog(tmp_path / "missing" / "intents.jsonl")
    path = tmp_path / "intents.jsonl"
    log = FileIntentLog(path)
    log.append(RECORDS[0])
    real, log._file = log._file, FullDisk(log._file)
    with pytest.raises(IntentLogError, match=os.strerror(errno.ENOSPC)):
        log.append(RECORDS[1])
    assert list(log.records("one")) == RECORDS[:1]
    log._file = real
    log.append(RECORDS[2])
    log.close()
    again = FileIntentLog(path)
    assert list(again.records("one")) == [RECORDS[0], RECORDS[2]]
    again.close()


def test_memory_ignores_what_is_not_ours() -> None:
    log = MemoryIntentLog()
    log.append(CancelIntent("foreign-1", 1))
    assert log.records("foreign") == ()
