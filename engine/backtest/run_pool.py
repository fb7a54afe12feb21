"""Runs that share a pooled container: the same configuration but for the strategy (CONT-11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.backtest.assembly import BuiltRun, RunRequest, build_run, make_strategies, new_run
from engine.backtest.control import RunControl
from engine.backtest.run_hash import canonical_json, effective_config, run_hash
from engine.backtest.strategy_loading import source_hash
from engine.containers.container_pool import ContainerPool


class RunPool:
    """Gives a READY run for each request; resets and reuses containers where that is proven.

    All requests must agree in everything but the parameters of their strategies. Reuse gives the
    same fingerprint as a fresh container.
    """

    def __init__(self, first: RunRequest, *, size: int) -> None:
        self._first = first
        self._identity = _identity(first)
        self._pool: ContainerPool[BuiltRun] = ContainerPool(
            lambda: build_run(first, RunControl()), size=size
        )

    @property
    def built(self) -> int:
        """Return how many containers were built."""
        return self._pool.built

    @property
    def reused(self) -> int:
        """Return how many times one was used again."""
        return self._pool.reused

    def fill(self) -> None:
        """Build containers ahead."""
        self._pool.fill()

    def serves(self, request: RunRequest) -> bool:
        """Return whether *request* differs from the first in nothing but its parameters."""
        return request.data is self._first.data and _identity(request) == self._identity

    def acquire(self, request: RunRequest, control: RunControl) -> BuiltRun:
        """Return a run of *request* in a container that is READY.

        Raises:
            ValueError: *request* differs in more than its strategies' parameters.
        """
        if not self.serves(request):
            raise ValueError("a pool serves one configuration and its data; only params may differ")
        built = self._pool.acquire()
        strategies = make_strategies(request)
        values = effective_config(request.config)
        identity = run_hash(
            values,
            data_hash=f"{request.data.data_hash}:{request.window}",
            source_hash=source_hash([one.strategy for one in strategies]),
        )
        built.host.reseat(strategies, built.container.context)
        pass_ = new_run(built, request, control)
        return replace(built, pass_=pass_, run_hash=identity, effective=values)

    def release(self, built: BuiltRun) -> None:
        """Take a run back."""
        self._pool.release(built)

    def close(self) -> None:
        """Tear down what waits."""
        self._pool.close()


def _identity(request: RunRequest) -> str:
    values: dict[str, Any] = effective_config(request.config)
    components = values["components"]
    for section in [components.get("strategy"), *components.get("strategies", ())]:
        if section is not None:
            section["params"] = {}
    return canonical_json([values, request.window, request.only_strategy])
