"""Many columns of parameters over the same bars in one pass: a summary of each (FAST-5, FAST-6).

The columns are shared among threads; kernels run without the GIL. A thread keeps the tables of one
run and uses them again for its next column, so memory is O(bars * threads + columns) however many
columns there are. What a summary holds is, to the bit, what a single run would have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import count as counting
from types import TracebackType
from typing import Self, TypeVar

from engine.backtest.grid_axis import GridAxes
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.grid_worker import LANES, GridWorker
from engine.portfolio.account_settings import TradeMatching

Result = TypeVar("Result")


def never() -> bool:
    """Return False: nobody cancels."""
    return False


class GridRunner:
    """Runs columns on threads of its own.

    Args:
        workers: threads; 1 runs on the caller's.
        matching: how exits find their entries.
        has_fingerprints: compute the SHA-256 of each column.
        has_digests: compute the 64-bit digest of each column.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        matching: TradeMatching = TradeMatching.FIFO,
        has_fingerprints: bool = False,
        has_digests: bool = True,
    ) -> None:
        self._block = LANES if has_digests else 1
        axes = GridAxes()
        self._workers = [
            GridWorker(
                axes,
                matching,
                has_fingerprints=has_fingerprints,
                has_digests=has_digests,
            )
            for _ in range(workers)
        ]
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="grid") if workers > 1 else None

    @property
    def table_bytes(self) -> int:
        """Return the memory of the tables that the threads keep."""
        return sum(worker.table_bytes for worker in self._workers)

    def run(
        self,
        columns: int,
        request_of: Callable[[int], GridRequest],
        finish: Callable[[GridColumn], Result],
        *,
        is_cancelled: Callable[[], bool] = never,
        keep: Collection[int] = (),
    ) -> list[Result | Exception | None]:
        """Return for each number below *columns* what *finish* makes of it.

        *request_of* and *finish* are called on the threads. What one of them, or the run, raises
        takes the place of the result; None stands for columns that a cancellation left out. Columns
        in *keep* are handed over with their whole run.
        """
        results: list[Result | Exception | None] = [None] * columns
        blocks = counting(step=self._block)

        def work(worker: GridWorker) -> None:
            for start in blocks:
                if start >= columns or is_cancelled():
                    return
                for number in range(start, min(columns, start + self._block)):
                    try:
                        request = request_of(number)
                        worker.play(number, request, is_kept=number in keep)
                    except Exception as error:  # noqa: BLE001 (boundary: strategies' code runs)
                        results[number] = error
                for column in worker.take():
                    try:
                        results[column.number] = finish(column)
                    except Exception as error:  # noqa: BLE001 (as above)
                        results[column.number] = error

        if self._pool is None or columns == 1:
            work(self._workers[0])
        else:
            busy = self._workers[: min(columns, len(self._workers))]
            for future in [self._pool.submit(work, worker) for worker in busy]:
                future.result()
        return results

    def close(self) -> None:
        """End the threads; more than once is harmless."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
