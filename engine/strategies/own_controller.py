"""Controllers of a user's own: what a class must be to be configured like the ones that ship."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from engine.strategies.catalogue import ControllerType


def controller_type_of(found: object, name: str) -> ControllerType:
    """Return the controller type of the class *found*, which a file names *name*.

    The class has ``params_model``, a pydantic model, and is made with the keyword arguments
    ``controller_id`` and ``params``.

    Raises:
        ValueError: it is no such class; the message says what is missing.
    """
    model = getattr(found, "params_model", None)
    problem = _problem(found, model, name)
    if problem or not isinstance(found, type) or not isinstance(model, type):
        raise ValueError(problem)
    params_model: type[BaseModel] = model

    def build(controller_id: str, params: Mapping[str, object]) -> object:
        return found(controller_id=controller_id, params=params_model.model_validate(dict(params)))

    return ControllerType(name, inspect.getdoc(found) or "", params_model, build)  # type: ignore[arg-type]  # the user's class: its methods are checked above


def _problem(found: object, model: object, name: str) -> str:
    """Return what a controller class lacks, or nothing."""
    if not isinstance(found, type):
        return f"{name} is no class"
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"{name} needs params_model, a pydantic model of its parameters"
    if not callable(getattr(found, "on_tick", None)):
        return f"{name} needs on_tick(context), which returns proposals"
    try:
        inspect.signature(found).bind(controller_id="", params=None)
    except TypeError as error:
        return f"{name} must take controller_id and params: {error}"
    return ""
