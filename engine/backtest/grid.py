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

from engine.backtest.column_watch import ColumnEndedError, ColumnWatch
from engine.backtest.grid_axis import GridAxes
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.grid_worker import LANES, GridWorker
from engine.flow.errors import OperationError
from engine.live.clock import SystemClock
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
        limit_ns: longest time of a column, None for any; a `ColumnTooLongError` takes the place of
            one that needs more.
        monotonic_ns: a clock that never goes back.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        matching: TradeMatching = TradeMatching.FIFO,
        has_fingerprints: bool = False,
        has_digests: bool = True,
        limit_ns: int | None = None,
        monotonic_ns: Callable[[], int] | None = None,
    ) -> None:
        self._limit_ns = limit_ns
        self._monotonic_ns = monotonic_ns or SystemClock().monotonic_ns
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
            watch = ColumnWatch(
                is_cancelled, monotonic_ns=self._monotonic_ns, limit_ns=self._limit_ns
            )
            for start in blocks:
                if start >= columns or is_cancelled():
                    return
                for number in range(start, min(columns, start + self._block)):
                    results[number] = _played(
                        worker, watch, number, request_of, is_kept=number in keep
                    )
                for column in worker.take():
                    if results[column.number] is not None:
                        continue  # it was played, but took too long
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


def _played(
    worker: GridWorker,
    watch: ColumnWatch,
    number: int,
    request_of: Callable[[int], GridRequest],
    *,
    is_kept: bool,
) -> Exception | None:
    """Let *worker* play a column; return why it has no result, None if it has or was cancelled."""
    watch.begin()
    try:
        worker.play(number, request_of(number), is_kept=is_kept, look=watch.look)
        watch.check()
    except ColumnEndedError:
        return None
    except Exception as error:  # noqa: BLE001 (boundary: strategies' code runs)
        return error
    except (SystemExit, KeyboardInterrupt) as error:  # of the strategy: it runs on a thread
        return OperationError(f"{type(error).__name__}: {error}")
    return None
