"""Records a paper account: its inputs, and the signals, orders and fills that they led to.

The file is JSON lines: the first says what was run, then each input is followed by the events that
it caused, the last has the fingerprint over all events. Replayed, the inputs give the events again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final, TextIO

from engine.containers.bus import BusEvent, BusKind
from engine.containers.inputs import TimerInput, encode
from engine.execution.reports import OrderFilled
from engine.flow.errors import OperationError
from engine.live.live_config import LiveConfig
from engine.live.live_strategy import LiveStrategyContainer
from engine.live.order_codec import report_to_json, request_to_json
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import Fill, OrderRequest
from engine.model.quotes import QuoteTick
from engine.strategies.signals import Signal

FORMAT: Final = "quarterdeck-events-1"
PAPER: Final = "paper"
RECORDED: Final = (BusKind.SIGNAL, BusKind.ORDER, BusKind.FILL)


class RecordingError(OperationError):
    """A recording cannot be written; the message names the file and why."""


class EventRows:
    """Takes the events of strategies as rows of JSON values, and hashes them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._digest = hashlib.sha256(b"PAPER1\n")

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over the rows so far."""
        return self._digest.hexdigest()

    def watch(self, live: LiveStrategyContainer) -> None:
        """Take the events of *live* from now on."""

        def keep(event: BusEvent) -> None:
            row = {
                "seq": event.seq,
                "ts": event.ts_ns,
                "kind": event.kind.value,
                "strategy": live.id,
                "symbol": event.symbol,
                "cause_seq": event.cause_seq,
                "payload": _payload(event.payload),
            }
            self.rows.append(row)
            self._digest.update(f"{json.dumps(row, sort_keys=True)}\n".encode())

        for kind in RECORDED:
            live.container.observe(kind, keep)


class EventLog:
    """The file of a running account; every method writes.

    Raises:
        RecordingError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        strategies: Sequence[tuple[str, LiveConfig]],
        instruments: Mapping[ConnectorPair, Instrument],
        account_equity: Decimal,
        start_ns: int,
        base_dir: Path,
    ) -> None:
        self._rows = EventRows()
        self._inputs = 0
        self._path = path
        with self._writing():
            self._file: TextIO = path.open("w", encoding="utf-8")
        self._write(
            {
                "format": FORMAT,
                "kind": PAPER,
                "strategies": [
                    {"id": name, "config": json.loads(config.model_dump_json(by_alias=True))}
                    for name, config in strategies
                ],
                "instruments": [instrument_to_json(one) for one in instruments.values()],
                "account_equity": f"{account_equity:f}",
                "start_ns": start_ns,
                "base_dir": str(base_dir.resolve()),
                "base_dir_from_here": os.path.relpath(base_dir.resolve(), path.resolve().parent),
            }
        )

    def watch(self, live: LiveStrategyContainer) -> None:
        """Take the events of *live* from now on."""
        self._rows.watch(live)

    def take_input(self, item: QuoteTick | int) -> None:
        """Write an input before the account sees it: a quote, or the timer's time."""
        self._write_events()
        known = TimerInput(item) if isinstance(item, int) else item
        self._inputs += 1
        self._write({"in": list(encode(known))})

    def close(self) -> None:
        """Write what is left and the fingerprint."""
        self._write_events()
        end = {"inputs": self._inputs, "fingerprint": self._rows.fingerprint}
        self._write({"end": end})
        with self._writing():
            self._file.close()

    def _write_events(self) -> None:
        for row in self._rows.rows:
            self._write(row)
        self._rows.rows.clear()

    def _write(self, row: Mapping[str, Any]) -> None:
        text = json.dumps(row) + "\n"
        with self._writing():
            self._file.write(text)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordingError(
                f"{self._path}: the recording cannot be written ({error.strerror})", cause=error
            ) from error


def instrument_to_json(instrument: Instrument) -> dict[str, Any]:
    """Return *instrument* as JSON values."""
    return {
        "market": [instrument.market.connector_name, instrument.market.trading_pair],
        "tick": str(instrument.tick),
        "lot": str(instrument.lot),
        "multiplier": str(instrument.multiplier),
        "min_qty": str(instrument.min_qty),
        "min_notional": str(instrument.min_notional),
        "settlement": instrument.settlement.value,
        "shortable": instrument.shortable,
        "maker_ppb": instrument.maker_ppb,
        "taker_ppb": instrument.taker_ppb,
        "money_precision": instrument.money_precision,
    }


def instrument_from_json(values: Mapping[str, Any]) -> Instrument:
    """Return the instrument that `instrument_to_json` wrote.

    Raises:
        KeyError, ValueError, TypeError: it was written by something else.
    """
    connector, pair = values["market"]
    return Instrument(
        ConnectorPair(connector, pair),
        Decimal(values["tick"]),
        Decimal(values["lot"]),
        multiplier=Decimal(values["multiplier"]),
        min_qty=Decimal(values["min_qty"]),
        min_notional=Decimal(values["min_notional"]),
        settlement=Settlement(values["settlement"]),
        shortable=values["shortable"],
        maker_ppb=values["maker_ppb"],
        taker_ppb=values["taker_ppb"],
        money_precision=values["money_precision"],
    )


def _payload(payload: object) -> dict[str, Any]:
    match payload:
        case OrderRequest():
            return request_to_json(payload)
        case Fill():
            return report_to_json(OrderFilled(payload))
        case Signal():
            return dict(_said(payload))
        case _:
            return {"text": str(payload)}


def _said(signal: Signal) -> Iterator[tuple[str, Any]]:
    """Yield what a signal says beyond its defaults."""
    for field in fields(signal):
        value = getattr(signal, field.name)
        if value is None or value == field.default:
            continue
        yield field.name, value.name if isinstance(value, Enum) else str(value)
