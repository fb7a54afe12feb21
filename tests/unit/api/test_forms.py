"""Forms made from models, and what is typed into them."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from engine.api.forms import (
    flat_values,
    form_fields,
    model_errors,
    read_form,
    value_text,
)
from engine.api.views import FormField


class Colour(Enum):
    RED = "RED"
    BLUE = "BLUE"


class Inner(BaseModel):
    depth: int
    rate: Decimal = Field(default=Decimal("0.5"), json_schema_extra={"kind": "percent"})


class Outer(BaseModel):
    type: Literal["outer"] = "outer"
    secret: str = Field(default="", json_schema_extra={"hidden": True})
    name: str = Field(title="Name", description="free text")
    inner: Inner | None = Field(default=None, title="Inside")
    colour: Colour = Colour.BLUE
    size: Decimal = Field(json_schema_extra={"unit": "base"})
    wait: int | None = Field(default=None, json_schema_extra={"kind": "duration"})
    share: Decimal | None = Field(default=Decimal("0.02"), json_schema_extra={"kind": "percent"})
    steps: tuple[Decimal, ...] | None = Field(default=None, json_schema_extra={"kind": "percent"})
    is_on: bool = True
    place: str = "here"
    tags: list[str] = Field(default_factory=list)


@pytest.fixture
def fields() -> dict[str, FormField]:
    found = form_fields(Outer, choices={"place": ("here", "there")})
    return {field.name: field for field in found}


def test_own_fields_come_first_and_groups_stay_together(fields: dict[str, FormField]) -> None:
    names = list(fields)
    assert names[-2:] == ["inner.depth", "inner.rate"]
    assert "type" not in names
    assert "secret" not in names
    assert {fields[name].group for name in names[-2:]} == {"Inside"}


@pytest.mark.parametrize(
    ("name", "kind", "default", "required"),
    [
        ("name", "text", "", True),
        ("colour", "choice", "BLUE", False),
        ("size", "number", "", True),
        ("wait", "duration", "", False),
        ("share", "percent", "0.02", False),
        ("steps", "percent", "", False),
        ("is_on", "choice", "yes", False),
        ("place", "choice", "here", False),
        ("tags", "text", "", False),
        ("inner.depth", "number", "", False),
        ("inner.rate", "percent", "0.5", False),
    ],
)
def test_every_kind_of_field(
    fields: dict[str, FormField], name: str, kind: str, default: str, required: bool
) -> None:
    field = fields[name]
    assert (field.kind, field.default, field.required) == (kind, default, required)


def test_labels_units_choices_and_help(fields: dict[str, FormField]) -> None:
    assert (fields["name"].label, fields["name"].help) == ("Name", "free text")
    assert fields["is_on"].label == "Is on"
    assert fields["size"].unit == "base"
    assert fields["colour"].choices == ("RED", "BLUE")
    assert fields["is_on"].choices == ("no", "yes")
    assert fields["place"].choices == ("here", "there")
    assert fields["share"].help == "a fraction: 2% or 0.02"
    assert fields["steps"].many
    assert "several, with commas" in fields["steps"].help


def test_what_is_present_replaces_the_defaults() -> None:
    found = form_fields(Outer, choices={}, present={"share": "0.3", "inner.depth": "4"})
    defaults = {field.name: field.default for field in found}
    assert defaults["share"] == "0.3"
    assert defaults["inner.depth"] == "4"


def read(**typed: str) -> tuple[dict[str, object], dict[str, str], dict[str, str]]:
    values = {name.replace("__", "."): text for name, text in typed.items()}
    return read_form(form_fields(Outer, choices={}), {"name": "x", "size": "1", **values})


def test_values_are_read_by_kind_and_nested_by_dots() -> None:
    values, errors, understood = read(
        size="1.5k", wait="4h", share="2%", steps="1%, 2% ,", colour="RED", inner__depth="3"
    )
    assert errors == {}
    assert values == {
        "name": "x",
        "size": Decimal(1500),
        "wait": 14_400,
        "share": Decimal("0.02"),
        "steps": [Decimal("0.01"), Decimal("0.02")],
        "colour": "RED",
        "is_on": "yes",
        "place": "here",
        "inner": {"depth": Decimal(3), "rate": Decimal("0.5")},
    }
    assert understood == {
        "size": "1500",
        "wait": "14400 s",
        "share": "0.02",
        "steps": "0.01, 0.02",
    }
    assert Outer.model_validate(values).inner == Inner(depth=3)


@pytest.mark.parametrize("typed", ["1% 2%", "1%,2%", " 1%  , 2%"])
def test_several_values_stand_between_commas_or_blanks(typed: str) -> None:
    values, errors, _ = read(steps=typed)
    assert errors == {}
    assert values["steps"] == [Decimal("0.01"), Decimal("0.02")]


def test_an_emptied_field_takes_the_default_of_the_model() -> None:
    values, errors, _ = read(share="  ", inner__rate="", colour="")
    assert errors == {}
    assert {"share", "inner", "colour"}.isdisjoint(values)
    assert Outer.model_validate(values).share == Decimal("0.02")


def test_each_mistake_is_placed_on_its_field() -> None:
    _, errors, _ = read(size="", wait="soon", share="much", steps="1%,x", colour="GREEN")
    assert errors == {
        "size": "Size is needed",
        "wait": "'soon' is not a duration; write for example 90s, 4h or 1h30m",
        "share": "'much' is not a fraction; write for example 2% or 0.02",
        "steps": "'x' is not a fraction; write for example 2% or 0.02",
        "colour": "'GREEN' is not one of RED, BLUE",
    }


def test_errors_of_a_model_have_dotted_names_and_no_jargon() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"name": "x", "size": -1, "inner": {"depth": "deep"}, "wait": "x"})
    errors = model_errors(caught.value)
    assert errors["inner.depth"].startswith("must be a valid integer")
    assert errors["wait"].startswith("must be a valid integer")


def test_flat_values_leave_out_what_is_hidden() -> None:
    flat = flat_values(Outer(name="x", size=Decimal(1), inner=Inner(depth=2)))
    assert flat["inner.depth"] == 2
    assert flat["inner.rate"] == Decimal("0.5")
    assert "secret" not in flat
    assert flat_values(Outer(name="x", size=Decimal(1)))["inner"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (Decimal("1.50"), "1.5"),
        (Colour.RED, "RED"),
        ((Decimal("0.10"), Decimal(2)), "0.1, 2"),
        (7, "7"),
        (True, "yes"),
        (False, "no"),
        ("text", "text"),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    assert value_text(value) == text
