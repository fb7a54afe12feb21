"""Writes what a session holds into files: for a look from outside, and for after a crash.

One is for people. The other is the state from which a resume goes on with the rest of the journal,
taken when many inputs have come since the last one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from anyio import to_thread

from engine.agents.picture import SessionPicture
from engine.agents.ports import EngineAgent
from engine.live.session_state import FOLDER
from engine.model.clock import to_iso

_KEPT: Final = 20


class Snapshots(EngineAgent):
    """Replaces the session's file as a whole, so that a reader never sees half of one."""

    summary: ClassVar[str] = "writes what the session holds into a file, for after a crash"
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 60.0, "priority": "low"}

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        del resource_pool
        picture = self.context.picture()
        recorder = self.ports.recorder
        # Text of both belongs to the picture or is taken now; the rest is immutable.
        journal = {"entries": recorder.inputs, "hash": recorder.journal_hash}
        folder = self.ports.data_dir / FOLDER
        path, size = await to_thread.run_sync(write_snapshot, folder, picture, journal)
        note = f"{path.name}, {size / 1000:,.0f} kB"
        states = self.ports.states
        written = 0 if states is None else await states.work()
        if written:
            note += f", state {written / 1000:,.0f} kB"
        elif states is not None and states.problem:
            note += f", no state: {states.problem}"
        return {"path": str(path), "bytes": size, "state_bytes": written, "note": note}


def write_snapshot(
    folder: Path, picture: SessionPicture, journal: Mapping[str, object]
) -> tuple[Path, int]:
    """Write *picture* into *folder*, which is made if needed; drop the oldest files of others.

    Blocks: call it in a thread. Files are readable by their owner only.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    text = json.dumps(snapshot_values(picture, journal), indent=1)
    path = folder / f"{picture.session_id}.json"
    fresh = folder / f".{picture.session_id}.tmp"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor with a mode)
        file.write(text)
    fresh.replace(path)
    oldest_last = sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in oldest_last[_KEPT:]:
        old.unlink(missing_ok=True)
    return path, len(text)


def snapshot_values(picture: SessionPicture, journal: Mapping[str, object]) -> dict[str, object]:
    """Return *picture* as JSON values; money and amounts as decimal text."""
    account = picture.account
    return {
        "session_id": picture.session_id,
        "state": picture.state,
        "session_time": to_iso(picture.now_ns),
        "journal": dict(journal),
        "account": {
            "currency": account.currency,
            "equity": f"{account.equity:f}",
            "realized_pnl": f"{account.realized_pnl:f}",
            "unrealized_pnl": f"{account.unrealized_pnl:f}",
            "fees": f"{account.fees:f}",
        },
        "positions": [
            {
                "market": f"{position.connector_name}:{position.trading_pair}",
                "amount": f"{position.amount:f}",
                "value_quote": f"{position.value_quote:f}",
            }
            for position in picture.positions()
        ],
        "executors": [
            {
                "id": executor.id,
                "type": executor.type,
                "controller_id": executor.controller_id,
                "market": f"{executor.connector_name}:{executor.trading_pair}",
                "side": executor.side.name,
                "lifecycle": executor.lifecycle,
                "filled_amount": f"{executor.filled_amount:f}",
                "net_pnl_quote": f"{executor.net_pnl_quote:f}",
            }
            for executor in picture.executors()
        ],
    }
