"""What is asked of a Dask client when its cluster has just gone."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import pytest
from distributed import KilledWorker

from engine.optimization.dask_client import close, cluster_of, forget, outcome
from engine.optimization.trials import TrialRecord, TrialStatus

pytestmark = pytest.mark.anyio
RECORDS = [TrialRecord(0, "key", {}, TrialStatus.DONE)]


class Gone:
    """A client without a scheduler, whose loop does not answer any more."""

    def __init__(self, error: Exception, *, scheduler: object | None = None) -> None:
        self._error = error
        self.scheduler = scheduler

    def close(self, timeout: float) -> None:
        assert timeout > 0
        raise self._error

    def sync(self, work: object, *, callback_timeout: float, **_: object) -> None:
        assert callback_timeout > 0
        raise self._error


class Scheduler:
    identity = unregister_worker_plugin = None


class Held:
    """A future of Dask: *failure* is what the trial raised, *lost* what its fetching raises."""

    def __init__(self, failure: Exception | None = None, lost: Exception | None = None) -> None:
        self._failure = failure
        self._lost = lost

    async def exception(self) -> Exception | None:
        return self._failure

    async def result(self, **limit: float) -> list[TrialRecord]:
        assert limit["timeout"] > 0
        if self._lost is not None:
            raise self._lost
        return RECORDS


@pytest.mark.parametrize("error", [TimeoutError("busy"), OSError("gone"), AssertionError()])
def test_a_client_is_closed_whatever_state_its_cluster_is_in(error: Exception) -> None:
    client: Any = Gone(error)
    close(client)


@pytest.mark.parametrize("scheduler", [None, Scheduler()])
def test_a_cluster_that_is_gone_has_forgotten_the_study(scheduler: Scheduler | None) -> None:
    client: Any = Gone(TimeoutError(), scheduler=scheduler)
    forget(client, "study")


def test_the_cluster_of_a_closed_client_is_not_known() -> None:
    client: Any = Gone(RuntimeError("IOLoop is closed"))
    with pytest.raises(OSError, match="the client is closed"):
        cluster_of(client)
    client = Gone(RuntimeError("IOLoop is closed"), scheduler=Scheduler())
    with pytest.raises(RuntimeError, match="IOLoop is closed"):
        cluster_of(client)


async def test_what_a_future_holds_is_records_or_a_failure() -> None:
    held: Any = Held()
    assert await outcome(held) == RECORDS
    failure = ValueError("wrong")
    held = Held(failure)
    assert await outcome(held) is failure


NO_WORKER: Any = None


@pytest.mark.parametrize("lost", [CancelledError(), KilledWorker("task", NO_WORKER, 3)])
async def test_a_result_that_is_lost_with_its_worker_is_a_failure(lost: Exception) -> None:
    held: Any = Held(lost=lost)
    assert await outcome(held) is lost


async def test_a_result_that_does_not_come_is_told() -> None:
    held: Any = Held(lost=TimeoutError())
    with pytest.raises(TimeoutError):
        await outcome(held)
