"""Forms of executors: what can be created, what can be changed, what would come of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ValidationError

from engine.api.forms import flat_values, form_fields, model_errors, read_form, value_text
from engine.api.previews import executor_preview
from engine.api.views import ExecutorTypeView, FormCheck, FormField
from engine.executors.factory import ExecutorFactory, Registration
from engine.executors.snapshot import ExecutorSnapshot
from engine.live.published import PublishedSession
from engine.model.instruments import ConnectorPair, Instrument


@runtime_checkable
class Update(Protocol):
    """A live update that can be tried on a configuration before it is sent."""

    def applied_to(self, config: BaseModel) -> BaseModel:
        """Return the configuration that it would give; ValueError if it does not fit."""
        ...


def executor_types(session: PublishedSession) -> tuple[ExecutorTypeView, ...]:
    """Return the registered types with their forms, choices being the session's markets."""
    return tuple(
        _type_view(registration, session)
        for registration in ExecutorFactory.registrations().values()
    )


def check_create(
    session: PublishedSession, executor_type: str, values: Mapping[str, str]
) -> FormCheck:
    """Say what the engine understands of a create form."""
    registration = ExecutorFactory.registrations().get(executor_type)
    if registration is None:
        return FormCheck(errors={"": f"there is no executor type {executor_type!r}"})
    fields = _type_view(registration, session).fields
    nested, errors, understood = read_form(fields, values)
    if errors:
        return FormCheck(errors=errors, understood=understood)
    try:
        config = _model(registration.config_type).model_validate(nested)
    except ValidationError as error:
        return FormCheck(errors=_on_fields(model_errors(error), fields), understood=understood)
    problems = _market_problems(session, config)
    preview = executor_preview(session, config) if not problems else ()
    return FormCheck(errors=problems, understood=understood, preview=preview, values=nested)


def update_fields(snapshot: ExecutorSnapshot) -> tuple[FormField, ...]:
    """Return the form of what can be changed on a running executor."""
    update_type = ExecutorFactory.get_update_type(type(snapshot.config))
    if update_type is None:
        return ()
    return form_fields(_model(update_type), choices={}, present=_present(snapshot))


def check_update(
    session: PublishedSession, snapshot: ExecutorSnapshot, values: Mapping[str, str]
) -> FormCheck:
    """Say what the engine understands of an update form; only what differs is sent.

    A field that is emptied switches its barrier off.
    """
    update_type = ExecutorFactory.get_update_type(type(snapshot.config))
    if update_type is None:
        return FormCheck(errors={"": f"{snapshot.type} takes no updates"})
    fields = update_fields(snapshot)
    present, _, _ = read_form(fields, {})
    wanted, errors, understood = read_form(fields, values)
    # What was empty before is not asked for: only what was emptied now is.
    untouched = {
        field.name
        for field in fields
        if not field.default and not values.get(field.name, "").strip()
    }
    errors = {name: text for name, text in errors.items() if name not in untouched}
    if errors:
        return FormCheck(errors=errors, understood=understood)
    changes = {
        name: wanted.get(name)
        for name in (*wanted, *present)
        if wanted.get(name) != present.get(name)
    }
    if not changes:
        return FormCheck(errors={"": "nothing is changed yet"}, understood=understood)
    try:
        payload = _model(update_type).model_validate(changes)
        config: BaseModel = snapshot.config
        if isinstance(payload, Update):
            config = payload.applied_to(config)
    except ValidationError as error:
        return FormCheck(errors=_on_fields(model_errors(error), fields), understood=understood)
    except ValueError as error:
        return FormCheck(errors=_on_fields({"": str(error)}, fields), understood=understood)
    preview = executor_preview(session, config, entry=snapshot.entry_price)
    return FormCheck(understood=understood, preview=preview, values=changes)


def _type_view(registration: Registration, session: PublishedSession) -> ExecutorTypeView:
    model = _model(registration.config_type)
    choices = {
        "connector_name": tuple(dict.fromkeys(key.connector_name for key in session.markets)),
        "trading_pair": tuple(dict.fromkeys(key.trading_pair for key in session.markets)),
        "side": ("BUY", "SELL"),
        "maker_side": ("BUY", "SELL"),
        "buying_market": tuple(map(str, session.markets)),
        "selling_market": tuple(map(str, session.markets))[::-1],
    }
    summary = (model.__doc__ or "").partition("\n")[0]
    return ExecutorTypeView(
        type=registration.type_name,
        title=registration.type_name.removesuffix("_executor").replace("_", " "),
        summary=summary,
        fields=form_fields(model, choices=choices),
    )


def _present(snapshot: ExecutorSnapshot) -> dict[str, str]:
    """Return the values in force by the field names of the update form."""
    values = {name: value_text(value) for name, value in flat_values(snapshot.config).items()}
    prefix = "triple_barrier_config."
    return {name.removeprefix(prefix): text for name, text in values.items()}


def _market_problems(session: PublishedSession, config: BaseModel) -> dict[str, str]:
    """Return what the session's markets have against *config*, by field.

    A configuration of one market names it as ``market``, its size in base as ``amount``.
    """
    key = getattr(config, "market", None)
    if not isinstance(key, ConnectorPair):
        return {}
    market = session.markets.get(key)
    if market is None:
        known = ", ".join(str(one) for one in session.markets)
        return {"trading_pair": f"{key} is not a market of this session; it has {known}"}
    amount = getattr(config, "amount", None)
    return _amount_problems(amount, market.instrument) if isinstance(amount, Decimal) else {}


def _amount_problems(amount: Decimal, instrument: Instrument) -> dict[str, str]:
    lots = instrument.floor_lots(amount)
    if lots < instrument.min_lots:
        least = value_text(instrument.qty(instrument.min_lots))
        return {"amount": f"{value_text(amount)} is below the smallest order {least}"}
    if instrument.qty(lots) != amount:
        step = value_text(instrument.lot)
        return {"amount": f"{value_text(amount)} is not a multiple of the step {step}"}
    return {}


def _on_fields(errors: dict[str, str], fields: tuple[FormField, ...]) -> dict[str, str]:
    """Return *errors* under names that the form has; the rest is about the whole form.

    A rule over several fields begins its sentence with the field that it is about.
    """
    placed: dict[str, str] = {}
    for name, text in errors.items():
        found = _field_of(name or text.partition(" ")[0].rstrip(":"), fields)
        is_lost = not found and name
        placed.setdefault(found, f"{name}: {text}" if is_lost else text)
    return placed


def _field_of(name: str, fields: tuple[FormField, ...]) -> str:
    """Return the field *name*, or the first one of the group *name*, empty if there is none."""
    names = [field.name for field in fields]
    return next((one for one in names if one == name or one.startswith(f"{name}.")), "")


def _model(kind: type) -> type[BaseModel]:
    if not issubclass(kind, BaseModel):
        raise TypeError(f"{kind.__name__} is no pydantic model")
    return kind
