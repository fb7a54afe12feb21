"""What is masked by name, by value and by shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scheduling.control.redaction import (
    MASK,
    is_secret_name,
    masked,
    redacted,
    redacted_tree,
    secret_values,
    showable,
)

HUSH = "hush-0d5a"


@pytest.mark.parametrize(
    "name",
    ["key", "API_KEY", "apiKey", "monkey", "client_secret", "Token", "passphrase", "PASSWORD",
     "private", "privateKeyFile"],
)  # fmt: skip
def test_these_names_are_secret(name: str) -> None:
    assert is_secret_name(name)
    assert masked({name: HUSH}) == {name: MASK}


@pytest.mark.parametrize("name", ["venue", "interval", "ke_y", "pas", "priority", "symbol"])
def test_these_names_are_not(name: str) -> None:
    assert masked({name: HUSH}) == {name: HUSH}


def test_a_secret_name_hides_all_below_it() -> None:
    config = {"keys": {"a": [HUSH, {"b": HUSH}]}, "list": [{"token": None}, {"ok": 1}]}
    assert masked(config) == {"keys": MASK, "list": [{"token": MASK}, {"ok": 1}]}


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


def test_any_value_becomes_json() -> None:
    value = {
        1: Decimal("1.50"),
        "when": datetime(2026, 1, 1, tzinfo=UTC),
        "colour": Colour.RED,
        "many": (1, {2}),
        "nan": float("nan"),
        "inf": [float("inf")],
        "point": Point(3),
        "object": object(),
        "none": None,
    }
    shown = showable(value)
    assert json.loads(json.dumps(shown, allow_nan=False)) == {
        "1": "1.50",
        "when": "2026-01-01T00:00:00+00:00",
        "colour": "red",
        "many": [1, [2]],
        "nan": None,
        "inf": [None],
        "point": {"x": 3},
        "object": "<unserializable>",
        "none": None,
    }


def test_the_hidden_values_can_be_named() -> None:
    config = {
        "api_key": HUSH,
        "venue": "paper",
        "more": [{"secret": {"deep": "second"}}, {"tokens": ["third", 4, None, True]}],
    }
    assert list(secret_values(config)) == [HUSH, "second", "third", "4"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (f"said {HUSH}!", f"said {MASK}!"),
        (f"key={HUSH}", f"key={MASK}"),
        ("https://x/?a=1&signature=abc123&b=2", f"https://x/?a=1&signature={MASK}&b=2"),
        ('{"apiKey": "abc", "n": 1}', f'{{"apiKey": "{MASK}", "n": 1}}'),
        ("X-MBX-APIKEY: abc", f"X-MBX-APIKEY: {MASK}"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("postgres://me:pw@host/db", f"postgres://{MASK}@host/db"),
        ("password = 'x y'", f"password = '{MASK} y'"),
        ("nothing to hide: 5 of 7", "nothing to hide: 5 of 7"),
        ("KeyError: 'name'", "KeyError: 'name'"),
        ("TokenExpiredException: late", "TokenExpiredException: late"),
        ("", ""),
    ],
)
def test_texts_lose_what_looks_like_a_secret(text: str, result: str) -> None:
    assert redacted(text, (HUSH,)) == result


def test_a_short_value_is_not_looked_for_everywhere() -> None:
    assert redacted("1 of 10", ("1",)) == "1 of 10"


def test_the_longer_of_two_values_goes_first() -> None:
    assert redacted("abcdef", ("abcd", "abcdef")) == MASK


def test_a_tree_is_redacted_leaf_by_leaf() -> None:
    tree = {"a": [f"got {HUSH}", 5], "b": {"c": None}}
    assert redacted_tree(tree, (HUSH,)) == {"a": [f"got {MASK}", 5], "b": {"c": None}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    config=st.dictionaries(st.sampled_from(["api_key", "note", "Token", "x"]), json_values),
    text=st.text(max_size=20),
)
def test_no_named_secret_survives(config: dict[str, Any], text: str) -> None:
    config = {**config, "my_secret": f"{HUSH}{text}"}
    assert HUSH not in json.dumps(masked(config), allow_nan=False)
    assert HUSH not in redacted(f"before {HUSH}{text} after", secret_values(config))
