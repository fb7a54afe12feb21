"""Trials on a Dask cluster, on this machine or on many (OPT-8)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from distributed import Client, KilledWorker

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.optimization.backend import Records
from engine.optimization.dask_client import (
    CONNECT_S,
    LOST,
    close,
    cluster_of,
    connect,
    forget,
    nobody,
    outcome,
    register,
    run_everywhere,
)
from engine.optimization.dask_worker import (
    StudyMissingError,
    StudyPlugin,
    WorkerRefusedError,
    cancel_on_worker,
    prepare_on_worker,
    refuse_other_versions,
    run_on_worker,
    versions,
)
from engine.optimization.trial_runner import StudyTask, Trial, timeout_error
from engine.optimization.trials import CLUSTER_STAGE, TrialError, TrialRecord, TrialStatus

if TYPE_CHECKING:
    from distributed import Future as DaskFuture

_RECONNECT_S: Final = 60.0
"""How long a lost scheduler is waited for."""
_RETRY_S: Final = 0.5
_ATTEMPTS: Final = 6
_LOOK_S: Final = 5.0
"""How often it is looked whether there are workers."""
_CANCEL_S: Final = 1.0
_PLACINGS: Final = 5
"""How often a batch is sent again to workers that do not know its study."""


def _answers(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return by worker what was answered; one that has just gone has nothing to say.

    Raises:
        ConfigurationError: a worker failed, or all have gone.
    """
    failures = [(where, one) for where, one in found.items() if isinstance(one, BaseException)]
    gone = [where for where, failure in failures if isinstance(failure, OSError)]
    for where, failure in failures:
        if where not in gone or len(gone) == len(found):
            raise _unusable(where, failure)
    return [(where, one) for where, one in found.items() if where not in gone]


def _unusable(where: str, failure: BaseException) -> ConfigurationError:
    """Return why the worker at *where* cannot run the study."""
    if isinstance(failure, WorkerRefusedError):
        return ConfigurationError(f"cluster: {failure.message}", cause=failure)
    return ConfigurationError(
        f"cluster: worker {where} cannot run this study: {type(failure).__name__}: {failure}; "
        "install quarterdeck and the strategy's module there",
        cause=failure,
    )


@dataclass(slots=True, eq=False)
class _Part:
    """Trials that were sent together, and where their records go."""

    trials: tuple[Trial, ...]
    deliver: Callable[[Records], None]
    future: DaskFuture[Records] | None = field(default=None, repr=False)
    is_split: bool = False
    placings: int = 0


class DaskBackend:
    """Gives batches to an existing scheduler; Dask places, repeats and balances them.

    A scheduler that goes away is waited for; everything without a record is then sent again. At
    least once is enough, because records are told apart by their trial's key.

    Args:
        task: what is run; each worker prepares it once.
        address: the scheduler's, for example ``tcp://host:8786``.
        monotonic_ns: a clock that never goes back.
        reconnect_s: how long a lost scheduler is waited for.

    Raises:
        ConfigurationError: nobody answers there, there is no worker, or one has other versions.
    """

    first_batch = least_batch = 1

    def __init__(
        self,
        task: StudyTask,
        *,
        address: str,
        monotonic_ns: Callable[[], int],
        reconnect_s: float = _RECONNECT_S,
    ) -> None:
        self._task = task
        self._address = address
        # A worker that is ended must not take other trials with it.
        self.batch_limit: int | None = None if task.timeout_s is None else 1
        self._refused: set[str] = set()
        self._monotonic_ns = monotonic_ns
        self._reconnect_s = reconnect_s
        self._wanted = versions()
        self._name = f"quarterdeck-{task.identity.config_hash[:12]}-{monotonic_ns():x}"
        self._numbers = count()
        self._lock = threading.Lock()
        self._open: set[_Part] = set()
        self._is_cancelled = False
        self._is_closed = threading.Event()
        self._is_lost = False
        self._given_up: TrialError | None = None
        self._wake = threading.Event()
        self._arrivals = ThreadPoolExecutor(1, thread_name_prefix="dask-arrivals")
        self._client = connect(address)
        try:
            self.workers = self._check_workers()
        except BaseException:
            self._leave()
            raise
        self._watcher = threading.Thread(target=self._stand_by, name="dask-watch")
        self._watcher.start()

    @property
    def refused(self) -> frozenset[str]:
        """Return the workers that joined later with something else than this study needs."""
        return frozenset(self._refused)

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Queue *trials*."""
        promise: Future[Records] = Future()
        self._send(_Part(tuple(trials), promise.set_result))
        return promise

    def cancel(self) -> None:
        """Let running trials end at their next bar; queued ones are not started."""
        with self._lock:
            self._is_cancelled = True
            parts = list(self._open)
        futures = [part.future for part in parts if part.future is not None]
        client = self._client
        with suppress(*LOST):  # the cluster is gone: nothing runs there for us
            run_everywhere(client, cancel_on_worker, self._name, timeout_s=_CANCEL_S)
        with suppress(*LOST):
            client.sync(client.cancel, futures, callback_timeout=_CANCEL_S)
        for part in parts:
            self._finish(part, self._rows(part, TrialStatus.CANCELLED))

    def close(self) -> None:
        """Forget the cluster; it goes on for others."""
        self._is_closed.set()
        self._wake.set()
        self._watcher.join()
        self._arrivals.shutdown()
        self._leave()

    def _leave(self) -> None:
        if not self._is_lost:
            forget(self._client, self._name)
        close(self._client)

    def _register(self, client: Client) -> None:
        """Bring the study to the workers; one that goes away meanwhile must not stop it.

        Raises:
            ConfigurationError: it could not be brought to them.
        """
        plugin = StudyPlugin(self._name, self._task, self._wanted)
        failure: BaseException = OSError()
        for _ in range(_ATTEMPTS):
            try:
                register(client, plugin)
            except Exception as error:  # noqa: BLE001 (boundary: what a worker raised)
                failure = error
                self._is_closed.wait(_RETRY_S)
            else:
                client.subscribe_topic(self._name, self._told)
                return
        raise nobody(self._address, failure)

    def _check_workers(self) -> int:
        """Refuse workers that would compute something else; return how many trials run at once."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_S)  # one may just be replaced
        except OSError as error:
            raise ConfigurationError(
                f"cluster: {self._address} has no worker: start some with 'dask worker'",
                cause=error,
            ) from error
        cluster = cluster_of(self._client)
        self._scheduler_id = cluster.scheduler_id
        for where, found in _answers(run_everywhere(self._client, versions)):
            try:
                refuse_other_versions(where, found, self._wanted)
            except WorkerRefusedError as error:
                raise _unusable(where, error) from error
        self._register(self._client)
        _answers(run_everywhere(self._client, prepare_on_worker, self._name))
        return sum(int(worker["nthreads"]) for worker in cluster.workers.values())

    async def _told(self, event: tuple[float, Mapping[str, str]]) -> None:
        """Take note of a trial that ended its worker because it was too long."""
        _, said = event
        with self._lock:
            parts = [part for part in self._open if not part.is_split]
        for part in parts:
            if self._key_of(part.trials[0]) == said.get("key"):
                future = part.future
                error = timeout_error(self._task.timeout_s)
                self._finish(part, self._rows(part, TrialStatus.TIMEOUT, error))
                if future is not None:  # Dask would run it again on another worker
                    await self._client.cancel([future], asynchronous=True)

    def _key_of(self, trial: Trial) -> str:
        return self._task.identity.trial_key(trial.parameters, trial.window)

    def _send(self, part: _Part) -> None:
        with self._lock:
            error = self._given_up
            is_sent = error is None and not self._is_cancelled
            if is_sent:
                self._open.add(part)
        if is_sent:
            self._place(part)
        elif error is not None:  # nothing waits a second time for a cluster that did not come back
            part.deliver(self._rows(part, TrialStatus.FAILED, error))
        else:
            part.deliver(self._rows(part, TrialStatus.CANCELLED))

    def _place(self, part: _Part) -> None:
        with self._lock:
            if self._is_lost:  # it is sent when the scheduler is back
                return
            client = self._client
        part.placings += 1
        key = f"{self._name}-{next(self._numbers)}"
        try:
            future = client.submit(
                run_on_worker,
                self._name,
                part.trials,
                key=key,
                pure=False,
                workers=self._accepted(client),
            )
            part.future = future
            loop = client.loop
            if loop is not None:
                loop.add_callback(self._follow, part, client, future)
        except LOST:
            self._lose(client)

    def _accepted(self, client: Client) -> list[str] | None:
        """Return the workers that may be used, None for all."""
        if not self._refused:
            return None
        workers = cluster_of(client).workers
        return [where for where in workers if where not in self._refused]

    def _others(self, client: Client, refused: str) -> bool:
        """Leave the worker *refused* out from now on; return whether there are others."""
        self._refused.add(refused)
        try:
            return bool(self._accepted(client))
        except LOST:
            return True  # it is sent again when the scheduler is back

    async def _follow(self, part: _Part, client: Client, future: DaskFuture[Records]) -> None:
        """Wait on the client's loop, so that a result that never comes holds up no other."""
        try:
            found = await outcome(future)
        except Exception:  # noqa: BLE001 (boundary: the client was closed, or the result is lost)
            self._lose(client)
            return
        with suppress(RuntimeError):  # nobody waits for it any more
            self._arrivals.submit(self._arrived, part, client, found)

    def _arrived(self, part: _Part, client: Client, found: Records | BaseException) -> None:
        with self._lock:
            is_open = part in self._open
        if self._is_closed.is_set() or client is not self._client or not is_open:
            return
        try:
            if not isinstance(found, BaseException):
                self._finish(part, found)
            elif not self._is_cancelled:
                self._failed(part, client, found)
        except Exception as error:  # noqa: BLE001 (boundary: nobody else would see it)
            self._break_off(error)

    def _failed(self, part: _Part, client: Client, failure: BaseException) -> None:
        if isinstance(failure, CancelledError):  # the scheduler went away and forgot it
            self._lose(client)
            return
        if isinstance(failure, StudyMissingError) and part.placings < _PLACINGS:
            self._lose(client)  # a scheduler that came back before we noticed: it has no study
            return
        if isinstance(failure, KilledWorker) and len(part.trials) > 1:
            self._split(part)
            return
        if isinstance(failure, WorkerRefusedError) and self._others(client, failure.worker):
            self._place(part)  # it joined later: the others go on without it
            return
        if isinstance(failure, KilledWorker):
            error = TrialError("WorkerDied", "every worker that ran it ended", "worker")
        else:
            error = TrialError(type(failure).__name__, str(failure), "build")
        self._finish(part, self._rows(part, TrialStatus.FAILED, error))

    def _split(self, part: _Part) -> None:
        """Run each trial alone, so that the one that ends its workers is known."""
        found: dict[int, TrialRecord] = {}

        def deliver(place: int, records: Records) -> None:
            with self._lock:
                found[place] = records[0]
                is_whole = len(found) == len(part.trials)
            if is_whole:
                self._finish(part, [found[place] for place in range(len(part.trials))])

        part.is_split = True
        part.future = None
        for place, trial in enumerate(part.trials):
            self._send(_Part((trial,), partial(deliver, place)))

    def _finish(self, part: _Part, records: Records) -> None:
        with self._lock:
            is_first = part in self._open
            self._open.discard(part)
            part.future = None
        if is_first:
            part.deliver(records)

    def _rows(self, part: _Part, status: TrialStatus, error: TrialError | None = None) -> Records:
        return [
            TrialRecord(
                trial.index,
                self._key_of(trial),
                trial.parameters,
                status,
                error=error,
            )
            for trial in part.trials
        ]

    def _lose(self, client: Client) -> None:
        """Take note that *client* has no scheduler any more."""
        with self._lock:
            if client is self._client and not self._is_closed.is_set():
                self._is_lost = True
                self._wake.set()

    def _stand_by(self) -> None:
        """Watch the cluster on a thread of its own; what goes wrong here must end the study."""
        try:
            self._watch()
        except Exception as error:  # noqa: BLE001 (boundary: nobody else would see it)
            self._break_off(error)

    def _watch(self) -> None:
        """Connect anew whenever the scheduler was lost."""
        alone_ns: int | None = None
        while True:
            self._wake.wait(min(_LOOK_S, self._reconnect_s))
            self._wake.clear()
            if self._is_closed.is_set() or self._given_up is not None:
                return
            if self._is_lost:
                self._reconnect()
            alone_ns = self._look_for_workers(alone_ns)

    def _look_for_workers(self, alone_ns: int | None) -> int | None:
        """Give up what waits for workers that do not come; return since when there are none."""
        with self._lock:
            is_waiting, is_lost, client = bool(self._open), self._is_lost, self._client
        if is_lost or not is_waiting:
            return None
        try:
            cluster = cluster_of(client)
            if cluster.scheduler_id != self._scheduler_id:
                self._lose(client)  # Dask has found the new one already: it knows no study
                return None
            if cluster.workers:
                return None
        except TimeoutError:
            pass  # it is too busy to answer, or frozen
        except LOST:
            self._lose(client)
            return alone_ns
        now_ns = self._monotonic_ns()
        since_ns = now_ns if alone_ns is None else alone_ns
        if now_ns - since_ns > self._reconnect_s * SECOND_NS:
            self._give_up(self._late(f"the cluster at {self._address} had no worker"), "NoWorker")
            return None
        return since_ns

    def _reconnect(self) -> None:
        deadline_ns = self._monotonic_ns() + int(self._reconnect_s * SECOND_NS)
        close(self._client)
        while not self._is_closed.wait(_RETRY_S):
            if self._monotonic_ns() > deadline_ns:
                what = self._late(f"the scheduler at {self._address} was lost")
                self._give_up(what, "SchedulerLost")
                return
            try:
                client = connect(self._address, _RETRY_S * 4)
            except ConfigurationError:
                continue
            try:
                self._scheduler_id = cluster_of(client).scheduler_id
                self._register(client)
            except (ConfigurationError, *LOST):
                close(client)
                continue
            with self._lock:
                self._client = client
                self._is_lost = False
                parts = [part for part in self._open if not part.is_split]
            for part in parts:
                self._place(part)
            return

    def _break_off(self, error: Exception) -> None:
        self._give_up(f"the cluster cannot be used: {type(error).__name__}: {error}", "Cluster")

    def _late(self, what: str) -> str:
        return f"{what} for {self._reconnect_s:.0f} s"

    def _give_up(self, what: str, kind: str) -> None:
        text = f"{what}; --resume goes on with what is missing"
        error = TrialError(kind, text, CLUSTER_STAGE)
        with self._lock:
            self._given_up = error
            parts = [part for part in self._open if not part.is_split]
        for part in parts:
            self._finish(part, self._rows(part, TrialStatus.FAILED, error))
