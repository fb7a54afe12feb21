"""One failed question is not the end: it becomes the error state of the panel that asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar


class ShowsProblems(Protocol):
    """What can say that something failed."""

    def show_problem(self, text: str) -> None:
        """Show one sentence in place of the data, or beside it."""
        ...


class Pulling(ShowsProblems, Protocol):
    """What a paint clock drives."""

    def pull(self) -> None:
        """Ask the engine and repaint what changed."""
        ...


OwnerT = TypeVar("OwnerT", bound=ShowsProblems)
Parameters = ParamSpec("Parameters")


def safe(
    method: Callable[Concatenate[OwnerT, Parameters], None],
) -> Callable[Concatenate[OwnerT, Parameters], None]:
    """Turn an exception of *method* into its owner's error state; without this it ends the app."""

    @wraps(method)
    def guarded(self: OwnerT, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 (boundary: the engine's answer was an exception)
            self.show_problem(f"{type(error).__name__}: {error}")

    return guarded
