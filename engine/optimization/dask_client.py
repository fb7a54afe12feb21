"""What is asked of a Dask client, each with a limit: a cluster that is gone must not hold us.

Dask waits without end for an answer if its loop has stopped meanwhile; nothing here does.
"""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from distributed import Client, KilledWorker
from distributed.client import ClosedClientError
from distributed.versions import VersionMismatchWarning

from engine.flow.errors import ConfigurationError
from engine.optimization.backend import Records
from engine.optimization.config import cluster_address

if TYPE_CHECKING:
    from distributed import Future as DaskFuture

    from engine.optimization.dask_worker import StudyPlugin

CONNECT_S: Final = 5.0
_PREPARE_S: Final = 120.0
"""How long the workers may take to load the data of a study."""
_FETCH_S: Final = 30.0
_CLOSE_S: Final = 1.0
_QUIET: Final = ("distributed", "distributed.client", "distributed.comm", "distributed.core")

LOST: Final = (OSError, RuntimeError, ValueError, ClosedClientError)
"""What a client raises that is closed, or that has just lost its scheduler."""


def connect(address: str, timeout_s: float = CONNECT_S) -> Client:
    """Return a client of the scheduler at *address*.

    The system is asked first: it knows at once that nobody is there, Dask would try again.

    Raises:
        ConfigurationError: it is no address, or nobody answers.
    """
    for name in _QUIET:  # what happens to the scheduler is told in our own words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        host, port = cluster_address(address)
    except ValueError as error:
        raise ConfigurationError(f"cluster: {error}", cause=error) from error
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
        with warnings.catch_warnings():
            # Other versions are refused, with the names that matter here.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(
                address,
                timeout=timeout_s,
                set_as_default=False,
                name="quarterdeck",
                direct_to_workers=False,
            )
    except (OSError, ValueError) as error:
        raise nobody(address, error) from error


def nobody(address: str, error: BaseException) -> ConfigurationError:
    """Return that no scheduler answers at *address*."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConfigurationError(
        f"cluster: no scheduler answers at {address} ({reason}): start one with 'dask scheduler' "
        "and workers with 'dask worker', or name another address",
        cause=error,
    )


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a scheduler says of itself; one that was started anew has another ``scheduler_id``."""

    scheduler_id: str
    workers: Mapping[str, Any]
    """By their address."""


def cluster_of(client: Client) -> Cluster:
    """Return the cluster as it is now.

    Raises:
        OSError, RuntimeError: there is no scheduler; TimeoutError if it does not answer.
    """
    scheduler = client.scheduler
    if scheduler is None:
        raise OSError("the client is closed")
    found = client.sync(scheduler.identity, n_workers=-1, callback_timeout=CONNECT_S)
    return Cluster(str(found["id"]), found["workers"])


def run_everywhere(
    client: Client, work: Callable[..., Any], *arguments: object, timeout_s: float = _PREPARE_S
) -> dict[str, Any]:
    """Call *work* on every worker; return by worker its answer, or the exception.

    Raises:
        OSError, RuntimeError: there is no scheduler; TimeoutError if one does not answer.
    """
    found: dict[str, Any] = client.sync(
        client.run, work, *arguments, on_error="return", callback_timeout=timeout_s
    )
    return found


def register(client: Client, plugin: StudyPlugin) -> None:
    """Bring the study to the workers, and to those that join later.

    Raises:
        Exception: whatever a worker raised, or the client without a scheduler.
    """
    client.sync(client.register_plugin, plugin, name=plugin.name, callback_timeout=_FETCH_S)


def forget(client: Client, name: str) -> None:
    """Let the workers forget the study *name*; a cluster that is gone has forgotten it."""
    scheduler = client.scheduler
    if scheduler is not None:
        with suppress(*LOST):
            client.sync(scheduler.unregister_worker_plugin, name=name, callback_timeout=_CLOSE_S)


def close(client: Client) -> None:
    """Close *client*, whatever state its cluster is in."""
    # A busy machine may need longer than this: its threads are daemons and end by themselves.
    with suppress(*LOST, AssertionError):
        client.close(timeout=_CLOSE_S)


async def outcome(future: DaskFuture[Records]) -> Records | BaseException:
    """Wait for *future* on the loop of its client, and return what it holds.

    Raises:
        OSError, RuntimeError: the client was closed; TimeoutError if the result does not come,
            for example because it was lost with its worker and the scheduler went away too.
    """
    waiting: Any = future  # on the loop its methods return what can be awaited
    failure: BaseException | None = await waiting.exception()
    if failure is not None:
        return failure
    try:
        records: Records = await waiting.result(timeout=_FETCH_S)
    except (CancelledError, KilledWorker) as error:  # lost with its worker, and not made again
        return error
    return records
