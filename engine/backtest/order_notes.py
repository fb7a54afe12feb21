"""What a table of integers cannot say of orders, kept as numbers; notes are made when read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, overload

import numpy as np

from engine.execution.bar_order import KIND_NAMES, TIF_NAMES, BarOrder
from engine.markets.column_spool import RowSpool
from engine.model.bar_columns import release_pages
from engine.model.run_tables import NO_PRICE, Table

_DTYPE: Final = np.dtype(
    [
        ("seq", "<u4"),
        ("client_id", "<u4"),
        ("type", "<u4"),
        ("tif", "<u4"),
        ("limit", "<i8"),
        ("stop", "<i8"),
        ("reason", "<u4"),
        ("role", "<u4"),
        ("tag", "<u4"),
        ("strategy", "<u4"),
        ("parent", "<i8"),
        ("bar_created", "<i8"),
        ("average_ticks", "<f8"),
        ("fee_atoms", "<i8"),
        ("reduce_only", "<u1"),
    ]
)
"""Texts are their numbers; 0 as ``client_id`` is the one that follows from ``seq``."""


class OrderNoteBook:
    """Takes orders that have ended, a few at a time, and gives their notes by seq."""

    def __init__(self, container_id: str, *, on_disk: bool = False) -> None:
        self._container_id = container_id
        self._numbers = {"": 0}
        self._rows = RowSpool(_DTYPE, on_disk=on_disk)

    def add(self, orders: Iterable[BarOrder]) -> None:
        """Take down *orders*, which change no more."""
        rows = [self._row(order) for order in orders]
        if rows:
            self._rows.add(np.array(rows, dtype=_DTYPE))

    def notes(self) -> OrderNotes:
        """Return the notes of all orders that were taken down, and forget them here."""
        return OrderNotes(self._rows.take("seq"), tuple(self._numbers), self._container_id)

    def close(self) -> None:
        """Forget what was not given."""
        self._rows.close()

    def _row(self, order: BarOrder) -> tuple[Any, ...]:
        is_default = order.client_id == _client_id(self._container_id, order.seq)
        filled = order.filled_lots
        return (
            order.seq,
            0 if is_default else self._number(order.client_id),
            self._number(_word(KIND_NAMES, order.kind)),
            self._number(_word(TIF_NAMES, order.tif)),
            NO_PRICE if order.limit is None else order.limit,
            NO_PRICE if order.stop is None else order.stop,
            self._number(order.reason),
            self._number(order.role),
            self._number(order.tag),
            self._number(order.owner),
            -1 if order.parent is None else order.parent.seq,
            order.bar_created,
            order.price_lots / filled if filled else math.nan,
            order.fee_atoms,
            order.reduce_only,
        )

    def _number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))


class OrderNotes(Sequence[Mapping[str, Any]]):
    """The notes of the orders of a run by seq."""

    def __init__(self, rows: Table, texts: tuple[str, ...], container_id: str) -> None:
        self._rows = rows
        self._texts = texts
        self._container_id = container_id

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Mapping[str, Any], ...]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | tuple[Mapping[str, Any], ...]:
        if isinstance(index, slice):
            notes = tuple(map(self._note, self._rows[index].tolist()))
            release_pages(self._rows)
            return notes
        return self._note(self._rows[index].item())

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, which hashes otherwise

    def _note(self, row: tuple[Any, ...]) -> Mapping[str, Any]:
        one = dict(zip(_DTYPE.names or (), row, strict=True))
        texts, seq = self._texts, one["seq"]
        named = one["client_id"]
        return {
            "seq": seq,
            "client_id": texts[named] if named else _client_id(self._container_id, seq),
            "type": texts[one["type"]],
            "tif": texts[one["tif"]],
            "limit": None if one["limit"] == NO_PRICE else one["limit"],
            "stop": None if one["stop"] == NO_PRICE else one["stop"],
            "reason": texts[one["reason"]],
            "role": texts[one["role"]],
            "tag": texts[one["tag"]],
            "strategy": texts[one["strategy"]],
            "parent": None if one["parent"] < 0 else one["parent"],
            "bar_created": one["bar_created"],
            "average_ticks": None if math.isnan(one["average_ticks"]) else one["average_ticks"],
            "fee_atoms": one["fee_atoms"],
            "reduce_only": bool(one["reduce_only"]),
        }


def _client_id(container_id: str, seq: int) -> str:
    return f"{container_id}-O{seq:08d}"


def _word(words: Sequence[str], code: int) -> str:
    return words[code] if 0 <= code < len(words) else str(code)
