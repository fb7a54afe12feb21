"""Lives of a session that write to a store until they are killed; run by test_store_kill.py.

For each session id on standard input one forked process opens the store of the directory in the
first argument and writes batches without end. It prints `pid N`, `created`, and `committed N`
after each commit; when it is dead, its parent prints `dead`. Forking spares the start of an
interpreter for each life.
"""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from engine.store import database, migrating  # noqa: F401 (loaded once, before the forks)
from engine.store.batch import StoreBatch
from engine.store.records import (
    EquityRecord,
    FillRecord,
    JournalEntry,
    OrderRecord,
    PositionRecord,
    SessionRecord,
    SessionStatus,
    SessionUpdate,
)
from engine.store.store import Store


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def batch_of(session_id: str, number: int) -> StoreBatch:
    """Return the batch after which the session has *number* rows of each kind that grows."""
    amount, seq = Decimal(number), number - 1
    market: dict[str, Any] = {
        "session_id": session_id,
        "connector_name": "paper",
        "trading_pair": "BTC-USDT",
    }
    order: dict[str, Any] = {
        "client_order_id": f"o-{number}",
        "executor_id": None,
        "role": "entry",
        "side": "BUY",
    }
    return StoreBatch(
        journal=(JournalEntry(session_id, seq, seq, "quote", "x" * 400),),
        orders=(
            OrderRecord(
                **market,
                **order,
                order_type="MARKET",
                price=None,
                amount=amount,
                state="FILLED",
                created_ns=seq,
                updated_ns=seq,
            ),
        ),
        fills=(
            FillRecord(
                **market,
                **order,
                fill_id=f"f-{number}",
                price=Decimal(1),
                amount=Decimal(1),
                quote=Decimal(1),
                fee_quote=Decimal(0),
                is_maker=False,
                ts_ns=seq,
            ),
        ),
        positions=(
            PositionRecord(
                **market,
                amount=amount,
                entry_price=Decimal(1),
                mark_price=Decimal(1),
                realized_pnl=Decimal(0),
                unrealized_pnl=Decimal(0),
                fees=Decimal(0),
                updated_ns=seq,
            ),
        ),
        equity=(
            EquityRecord(
                session_id=session_id,
                ts_ns=seq,
                equity=amount,
                realized_pnl=Decimal(0),
                unrealized_pnl=Decimal(0),
                fees=Decimal(0),
            ),
        ),
        sessions=(
            SessionUpdate(
                session_id=session_id,
                status=SessionStatus.RUNNING,
                updated_ns=number,
                equity=amount,
                realized_pnl=Decimal(0),
                unrealized_pnl=Decimal(0),
                fees=Decimal(0),
                executors=0,
                orders=number,
                fills=number,
                inputs=number,
            ),
        ),
    )


async def live(data_dir: Path, session_id: str) -> None:
    async with Store.open(data_dir, now_ns=0) as store:
        await store.create_session(
            SessionRecord(
                session_id=session_id,
                name="killed",
                mode="paper",
                status=SessionStatus.RUNNING,
                started_ns=0,
                updated_ns=0,
                config_hash="",
                config_text="",
                code_version="",
                seed=0,
                currency="USDT",
                initial_equity=Decimal(0),
                equity=Decimal(0),
            )
        )
        say("created")
        for number in count(1):
            await store.write(batch_of(session_id, number))
            say(f"committed {number}")


def main() -> None:
    data_dir = Path(sys.argv[1])
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            anyio.run(live, data_dir, line.strip())
        os.waitpid(child, 0)
        say("dead")


main()
