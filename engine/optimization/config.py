"""Configuration of a study: the section ``optimization`` of a document."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from engine.flow.errors import ConfigurationError
from engine.optimization.objective import Direction, Objective
from engine.optimization.space import ParameterSpace, parse_space

_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B|B)?", re.IGNORECASE)
_UNITS: Final = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", start=1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", start=1)},
}


def parse_size(value: object) -> int:
    """Return a number of bytes: ``512MB`` is 512 * 10**6, ``512MiB`` is 512 * 2**20.

    Raises:
        ValueError: *value* is no size, or below one byte.
    """
    is_text = isinstance(value, int | str) and not isinstance(value, bool)
    found = _SIZE.fullmatch(str(value).strip()) if is_text else None
    if found is None:
        raise ValueError(f"{value!r} is no size, write for example 512MB or 1GiB")
    size = int(Decimal(found[1]) * _UNITS[(found[2] or "B").lower()])
    if size < 1:
        raise ValueError(f"{value!r} is less than a byte")
    return size


Size: TypeAlias = Annotated[int, BeforeValidator(parse_size)]
"""Bytes; decimal units are powers of 1000, binary ones of 1024."""


def cluster_address(text: str) -> tuple[str, int]:
    """Return host and port of a scheduler's address such as ``tcp://host:8786``.

    Raises:
        ValueError: *text* is no such address.
    """
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"tcp", "tls", "ws", "wss"} or not parts.hostname or not port:
        raise ValueError(f"{text!r} is no address of a scheduler, write tcp://HOST:PORT")
    return parts.hostname, port


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@unique
class Parallelism(StrEnum):
    """Where trials run; never changes a result."""

    SERIAL = "serial"
    THREAD = "thread"
    PROCESS = "process"
    KERNEL = "kernel"
    DISTRIBUTED = "distributed"
    AUTO = "auto"


class GridMethod(_Section):
    """Every combination."""

    kind: Literal["grid"] = "grid"


class RandomMethod(_Section):
    """Some combinations, drawn without replacement."""

    kind: Literal["random"] = "random"
    n: int = Field(ge=1, description="combinations")


class HalvingMethod(_Section):
    """Many combinations on little data, the best of them on more."""

    kind: Literal["halving"] = "halving"
    n: int | None = Field(default=None, ge=2, description="combinations; all without")
    eta: int = Field(default=3, ge=2, description="one of so many goes on")
    min_bars: int = Field(default=200, ge=2, description="bars of the shortest round at least")


class BayesMethod(_Section):
    """Combinations that the results so far make promising."""

    kind: Literal["bayes"] = "bayes"
    n: int = Field(ge=1, description="combinations")
    round_size: int = Field(default=8, ge=1, description="proposals between two looks")


class WalkForwardMethod(_Section):
    """A grid on each training window, its best on the test window behind it."""

    kind: Literal["walk_forward"] = "walk_forward"


def _short_form(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


Method: TypeAlias = Annotated[
    Annotated[
        GridMethod | RandomMethod | HalvingMethod | BayesMethod | WalkForwardMethod,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]


class ObjectiveSection(_Section):
    """What is looked for, and what does not count."""

    metric: str = Field(
        default="sharpe",
        min_length=1,
        description="name of a metric, or module.function of the metrics (allow_imports)",
    )
    direction: Direction = Field(default=Direction.MAXIMIZE, description="maximize or minimize")
    min_trades: int = Field(default=0, ge=0, description="round trips that count at least")
    max_drawdown: Decimal | None = Field(
        default=None, gt=0, le=1, description="deepest drawdown that counts, a fraction"
    )

    def objective(self) -> Objective:
        """Return the objective."""
        depth = self.max_drawdown
        return Objective(
            self.metric, self.direction, self.min_trades, None if depth is None else float(depth)
        )


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


def _named_metric(value: object) -> object:
    return {"metric": value} if isinstance(value, str) else value


_NamedObjective: TypeAlias = Annotated[ObjectiveSection, BeforeValidator(_named_metric)]
Objectives: TypeAlias = Annotated[
    Annotated[_NamedObjective, Tag("one")] | Annotated[tuple[_NamedObjective, ...], Tag("several")],
    Discriminator(_one_or_several),
]


class EarlyStopSection(_Section):
    """When a trial is hopeless: it is stopped there and its row is PRUNED."""

    max_drawdown: Decimal = Field(
        gt=0, lt=1, description="fall from the highest equity, a fraction"
    )


class WalkForwardSection(_Section):
    """Windows: numbers of bars, or durations such as ``90d``."""

    train: int | str = Field(description="length of a training window")
    test: int | str = Field(description="length of a test window")
    step: int | str | None = Field(default=None, description="between two folds; test without")
    anchored: bool = Field(default=False, description="every training begins at the first bar")
    purge: int | str = Field(default=0, description="between training and test")
    embargo: int | str = Field(default=0, description="behind a test, never trained on")

    def plain(self) -> dict[str, object]:
        """Return the keys that were given or have a default."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class OptimizationConfig(_Section):
    """The section ``optimization`` of a document."""

    container_type: Literal["optimization"] = "optimization"
    name: str = Field(default="", max_length=80, description="label of the study, in no hash")
    base: str | dict[str, Any] = Field(
        description="a backtest document: its path from this file, or its body"
    )
    parallelism: Parallelism = Field(
        default=Parallelism.PROCESS, description="where trials run, in no hash"
    )
    cluster: str | None = Field(
        default=None, description="scheduler of a distributed study, tcp://host:port"
    )
    max_workers: int | None = Field(
        default=None, ge=1, le=1024, description="workers; default min(8, processors)"
    )
    container_pool_size: int = Field(default=16, ge=0, description="containers that are kept ready")
    memory_limit_per_container: Size | None = Field(
        default=None, description="memory of one trial, for example 512MB"
    )
    max_tasks_per_worker: int = Field(
        default=200, ge=0, description="batches after which a worker is replaced, 0 for never"
    )
    timeout_s: Decimal | None = Field(default=None, gt=0, description="longest time of a trial")
    seed_per_trial: bool = Field(default=False, description="a seed of its own for each trial")
    method: Method = GridMethod()
    objective: Objectives = ObjectiveSection()
    early_stop: EarlyStopSection | None = Field(
        default=None, description="what stops a hopeless trial; null for nothing"
    )
    space: dict[str, Any] = Field(description="values by parameter")
    constraints: tuple[str, ...] = Field(default=(), description="for example fast < slow")
    walk_forward: WalkForwardSection | None = None
    out_of_sample: Decimal | None = Field(
        default=Decimal("0.3"),
        gt=0,
        lt=1,
        description="last part of the data on which the best are judged; null for none",
    )
    top: int = Field(default=10, ge=1, le=1000, description="trials that are judged out of sample")
    journal: str | None = Field(default=None, description="file that a resume goes on from")

    @field_validator("cluster")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None:
            cluster_address(value)
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.objective == ():
            raise ValueError("objective: is an empty list, give at least one metric")
        if isinstance(self.method, WalkForwardMethod) and self.walk_forward is None:
            raise ValueError("method walk_forward needs the section walk_forward")
        if self.parallelism is Parallelism.DISTRIBUTED and self.cluster is None:
            raise ValueError("parallelism distributed needs cluster: tcp://host:port")
        try:
            self.parameter_space()
        except ConfigurationError as error:
            raise ValueError(error.message) from error
        return self

    def parameter_space(self) -> ParameterSpace:
        """Return the space.

        Raises:
            ConfigurationError: it is described in a way that is not allowed.
        """
        return parse_space(self.space, self.constraints)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the objectives, the one that ranks first."""
        if isinstance(self.objective, ObjectiveSection):
            return (self.objective.objective(),)
        return tuple(section.objective() for section in self.objective)


class OptimizationDocument(_Section):
    """A whole file."""

    version: Literal[1] = 1
    optimization: OptimizationConfig
