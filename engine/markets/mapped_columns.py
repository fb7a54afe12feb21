"""Columns in temporary files: larger than memory may be, one chunk of them in memory at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import release_pages

CHUNK_ROWS: Final = 1 << 18


def is_mapped(values: NDArray[Any]) -> bool:
    """Whether *values* live in a file."""
    return getattr(values, "_mmap", None) is not None


def chunks(length: int, *columns: NDArray[Any]) -> Iterator[slice]:
    """Yield slices that cover *length* rows; the pages of *columns* go after each."""
    for start in range(0, length, CHUNK_ROWS):
        yield slice(start, min(length, start + CHUNK_ROWS))
        release_pages(*columns)


def temporary_column(length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a writable column in a file that vanishes with its last map."""
    if not length:
        return np.zeros(0, dtype=dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(length * dtype.itemsize)
        return np.memmap(file, dtype=dtype, mode="r+", shape=(length,))


def column_like(values: NDArray[Any], *, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return a column of zeros as long as *values* and where they are: in memory or in a file."""
    kind = dtype or values.dtype
    return temporary_column(len(values), kind) if is_mapped(values) else np.zeros(len(values), kind)


def gathered(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return ``values[order]``, in a file if *values* are."""
    if not is_mapped(values):
        return values[order]
    result = temporary_column(len(order), values.dtype)
    for part in chunks(len(order), result, values):
        result[part] = values[order[part]]
    return result


def kept(values: NDArray[Any], keep: NDArray[np.bool_]) -> NDArray[Any]:
    """Return ``values[keep]``, in a file if *values* are."""
    if not is_mapped(values):
        return values[keep]
    result = temporary_column(int(np.count_nonzero(keep)), values.dtype)
    start = 0
    for part in chunks(len(values), result, values):
        chosen = values[part][keep[part]]
        result[start : start + len(chosen)] = chosen
        start += len(chosen)
    return result
