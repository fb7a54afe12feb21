"""Columns that grow batch by batch, in memory or, for large files, in files that nobody sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from engine.markets.mapped_columns import gathered, no_room, open_temporary


class ColumnSpool:
    """Collects parts of columns and joins them.

    Args:
        on_disk: keep the parts in temporary files, which vanish with the last map of them; what is
            read back is memory-mapped, so that the system can take its pages away.
        rows_hint: how many rows there will be, about. In memory that much is reserved; pages that
            are never written cost nothing.
    """

    def __init__(self, *, on_disk: bool, rows_hint: int = 0) -> None:
        self._on_disk = on_disk
        self._capacity = max(1, rows_hint)
        self._columns: dict[str, NDArray[Any]] = {}
        self._files: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}
        self.rows = 0
        self.lengths: list[int] = []
        """Rows of each batch."""

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add one batch; every batch has the same columns, or fewer than the first.

        Raises:
            NoRoomError: the disk is full.
        """
        length = len(next(iter(columns.values())))
        end = self.rows + length
        if end > self._capacity:
            self._capacity = max(end, self._capacity + self._capacity // 2)
        for name, values in columns.items():
            if self._on_disk:
                self._write(name, values)
            else:
                self._column(name, values.dtype)[self.rows : end] = values
        self.rows = end
        self.lengths.append(length)

    def _write(self, name: str, values: NDArray[Any]) -> None:
        if name not in self._files:
            self._files[name] = (open_temporary(), values.dtype)  # closed by `take`
        try:
            self._files[name][0].write(np.ascontiguousarray(values).data)
        except OSError as error:
            raise no_room(values.nbytes, error) from error

    def _column(self, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        column = self._columns.get(name)
        if column is None or len(column) < self._capacity:
            grown = np.empty(self._capacity, dtype=dtype)
            if column is not None:
                grown[: self.rows] = column[: self.rows]
            self._columns[name] = column = grown
        return column

    def drop(self, name: str) -> None:
        """Forget the column *name*."""
        self._columns.pop(name, None)
        if name in self._files:
            file, _ = self._files.pop(name)
            try:
                file.close()
            except OSError as error:  # what was buffered: nobody wants it any more
                if no_room(0, error) is error:
                    raise

    def take(self, name: str) -> NDArray[Any]:
        """Return the whole column *name*, writable, and forget it here.

        Raises:
            NoRoomError: the disk is full.
        """
        if not self._on_disk:
            return self._columns.pop(name)[: self.rows]
        file, dtype = self._files.pop(name)
        with file:
            try:
                file.flush()
            except OSError as error:
                raise no_room(0, error) from error
            return np.memmap(file, dtype=dtype, mode="r+", shape=(self.rows,))

    def close(self) -> None:
        """Forget everything that was not taken."""
        for name in (*self._columns, *self._files):
            self.drop(name)


class RowSpool:
    """Collects rows of one table, in memory or in a file that nobody sees."""

    def __init__(self, dtype: np.dtype[Any], *, on_disk: bool) -> None:
        self._dtype = dtype
        self._spool = ColumnSpool(on_disk=on_disk)

    def add(self, rows: NDArray[Any]) -> None:
        """Add *rows* after those that are here.

        Raises:
            NoRoomError: the disk is full.
        """
        if len(rows):
            self._spool.append({"rows": rows})

    def take(self, order_by: str = "") -> NDArray[Any]:
        """Return all rows, by the column *order_by* if there is one, and forget them here.

        Raises:
            NoRoomError: the disk is full.
        """
        if not self._spool.rows:
            return np.zeros(0, dtype=self._dtype)
        rows = self._spool.take("rows")
        keys = rows[order_by] if order_by else None
        if keys is None or bool((keys[1:] > keys[:-1]).all()):
            return rows
        return gathered(rows, np.argsort(keys, kind="stable"))

    def close(self) -> None:
        """Forget what was not taken."""
        self._spool.close()
