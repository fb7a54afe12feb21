"""What the console asks about a study before it runs; reads files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.api.views import FormCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.api.commands import RunOptimization
    from engine.config.optimization_file import OptimizationFile

_SHOWN_VALUES: Final = 8


def check_optimization(command: RunOptimization) -> FormCheck:
    """Return what *command* would run, or what is wrong, by form field.

    The fields are ``path``, ``overrides`` and ``cluster``. Nothing is run and no study is made.
    """
    from engine.config.document import ConfigError
    from engine.config.optimization_file import load_optimization_file
    from engine.flow.errors import EngineError

    if not command.path:
        return FormCheck(errors={"path": "Name an optimisation file."})
    path = Path(command.path).expanduser()
    try:
        file = load_optimization_file(path, overrides=command.overrides)
    except ConfigError as error:
        text = error.problems[0] if error.problems else str(error)
        of_line = bool(command.overrides) and "command line" in text
        return FormCheck(errors={"overrides" if of_line else "path": text})
    except (EngineError, OSError, ValueError) as error:
        return FormCheck(errors={"path": str(error)})
    backend = command.backend or file.config.parallelism
    if backend == "distributed" and not (command.cluster or file.config.cluster):
        text = "A distributed study needs the address of its scheduler: tcp://HOST:PORT"
        return FormCheck(errors={"cluster": text})
    return FormCheck(
        understood={"path": str(path)},
        preview=_preview(file, str(getattr(backend, "value", backend))),
        values={"name": file.config.name or path.stem},
    )


def _preview(file: OptimizationFile, backend: str) -> tuple[tuple[str, str], ...]:
    config = file.config
    space = config.parameter_space()
    objective = config.objectives()[0]
    pairs = [
        ("Trials", f"{len(space):,} by {config.method.kind}, {backend}"),
        ("Looks for", f"{objective.direction.value.removesuffix('imize')} {objective.metric}"),
    ]
    pairs += [(item.name, _values_text(item.values)) for item in space.parameters]
    if config.constraints:
        pairs.append(("Only where", ", ".join(config.constraints)))
    judged = "--" if config.out_of_sample is None else f"last {config.out_of_sample:%} of the bars"
    pairs.append(("Judged on", judged))
    return tuple(pairs)


def _values_text(values: Sequence[object]) -> str:
    texts = [str(getattr(value, "value", value)) for value in values]
    if len(texts) <= _SHOWN_VALUES:
        return " ".join(texts)
    return f"{texts[0]} {texts[1]} .. {texts[-1]} ({len(texts)})"
