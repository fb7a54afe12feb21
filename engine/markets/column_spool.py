"""Columns that grow batch by batch, in memory or, for large files, in files that nobody sees."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


class ColumnSpool:
    """Collects parts of columns and joins them.

    Args:
        on_disk: keep the parts in temporary files, which vanish with the last map of them; what is
            read back is memory-mapped, so that the system can take its pages away.
    """

    def __init__(self, *, on_disk: bool) -> None:
        self._on_disk = on_disk
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._files: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}
        self.lengths: list[int] = []
        """Rows of each batch."""

    @property
    def rows(self) -> int:
        """Return the number of rows so far."""
        return sum(self.lengths)

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add one batch; every batch has the same columns."""
        for name, values in columns.items():
            if not self._on_disk:
                self._parts.setdefault(name, []).append(values)
                continue
            if name not in self._files:
                self._files[name] = (tempfile.TemporaryFile(), values.dtype)  # noqa: SIM115 (closed by `take`)
            self._files[name][0].write(np.ascontiguousarray(values).tobytes())
        self.lengths.append(len(next(iter(columns.values()))))

    def drop(self, name: str) -> None:
        """Forget the column *name*."""
        self._parts.pop(name, None)
        if name in self._files:
            self._files.pop(name)[0].close()

    def take(self, name: str) -> NDArray[Any]:
        """Return the whole column *name*, writable, and forget it here."""
        if not self._on_disk:
            parts = self._parts.pop(name)
            return np.concatenate(parts)
        file, dtype = self._files.pop(name)
        with file:
            file.flush()
            if not self.rows:
                return np.zeros(0, dtype=dtype)
            return np.memmap(file, dtype=dtype, mode="r+", shape=(self.rows,))

    def close(self) -> None:
        """Forget everything that was not taken."""
        for name in (*self._parts, *self._files):
            self.drop(name)
