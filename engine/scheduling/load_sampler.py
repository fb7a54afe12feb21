"""Reads from the system how busy it is (7.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from anyio import to_thread

from engine.scheduling.clock import Clock
from engine.scheduling.system_load import UNMEASURED, SystemLoad

LOG: Final = logging.getLogger("engine.scheduling")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the system says: shares of cpu, memory and disk space, bytes moved since it started."""

    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    network_bytes: int | None = None
    io_bytes: int | None = None


class Capacities(Protocol):
    """Bytes per second that count as full; None: not measured."""

    @property
    def network_capacity(self) -> float | None:
        """Of the network."""
        ...

    @property
    def io_capacity(self) -> float | None:
        """Of the disk."""
        ...


def read_psutil() -> Reading:
    """Return a reading of psutil; blocks for less than a millisecond, so it runs in a thread."""
    import psutil

    network = psutil.net_io_counters()
    disk = psutil.disk_io_counters()
    return Reading(
        cpu=psutil.cpu_percent(interval=None) / 100,  # since the previous call
        memory=psutil.virtual_memory().percent / 100,
        disk=psutil.disk_usage("/").percent / 100,
        network_bytes=network.bytes_sent + network.bytes_recv,
        io_bytes=None if disk is None else disk.read_bytes + disk.write_bytes,
    )


class LoadSampler:
    """Makes a `SystemLoad` of two readings after each other.

    The first reading of the cpu means nothing and is dropped. A failing one leaves "not measured"
    and is logged once.

    Args:
        clock: tells the time between readings.
        capacities: what the shares of network and disk are taken of.
        read: gives a reading; runs in a thread.

    Attributes:
        disk_usage: share of the disk's space that is used; None: not measured.
    """

    def __init__(
        self,
        clock: Clock,
        capacities: Capacities,
        *,
        read: Callable[[], Reading] = read_psutil,
    ) -> None:
        self.disk_usage: float | None = None
        self._clock: Final = clock
        self._capacities: Final = capacities
        self._read: Final = read
        self._previous: tuple[float, Reading] | None = None
        self._is_failing = False

    async def prime(self) -> None:
        """Take the reading that only serves the next one."""
        await self.sample()
        self.disk_usage = None

    async def sample(self) -> SystemLoad:
        """Take a reading and return the load."""
        try:
            reading = await to_thread.run_sync(self._read)
        except Exception as error:
            self._previous = None
            self.disk_usage = None
            if not self._is_failing:
                LOG.warning("the system's load cannot be read", exc_info=error)
            self._is_failing = True
            return UNMEASURED
        self._is_failing = False
        now, previous = self._clock.monotonic(), self._previous
        self._previous = now, reading
        self.disk_usage = reading.disk
        if previous is None:
            return SystemLoad(None, reading.memory, None, None)
        seconds, before = now - previous[0], previous[1]
        return SystemLoad(
            reading.cpu,
            reading.memory,
            _share(
                before.network_bytes,
                reading.network_bytes,
                seconds,
                self._capacities.network_capacity,
            ),
            _share(before.io_bytes, reading.io_bytes, seconds, self._capacities.io_capacity),
        )


def _share(
    before: int | None, after: int | None, seconds: float, capacity: float | None
) -> float | None:
    """Return the share of *capacity* that was moved; above 1 when it was more."""
    if before is None or after is None or capacity is None or seconds <= 0:
        return None
    return max(0.0, (after - before) / seconds / capacity)
