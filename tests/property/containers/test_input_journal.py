"""A journal entry decodes to the input that was encoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.containers.inputs import (
    ActionInput,
    ForceStopInput,
    JournalFormatError,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
    decode,
    encode,
)
from engine.model.funding import FundingRate
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

_TIMES = st.integers(0, 2**62)
_NUMBERS = st.integers(0, 2**62)
_NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_MARKETS = st.builds(ConnectorPair, _NAMES, st.builds("{}-{}".format, _NAMES, _NAMES))
_INPUTS: st.SearchStrategy[SessionInput] = st.one_of(
    st.builds(QuoteTick, _MARKETS, _TIMES, *[_NUMBERS] * 5),
    st.builds(FundingRate, _MARKETS, _TIMES, st.integers(-(10**9), 10**9)),
    st.builds(TimerInput, _TIMES),
    st.builds(StartInput, _TIMES, st.text()),
    st.builds(
        ActionInput, _TIMES, st.text(), st.text(), st.text(), st.dictionaries(st.text(), _JSON)
    ),
    st.builds(StopInput, _TIMES, st.booleans(), st.text()),
    st.builds(ForceStopInput, _TIMES),
)


@given(_INPUTS)
def test_decode_undoes_encode(item: SessionInput) -> None:
    assert decode(*encode(item)) == item


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("quote", "a b 1"),
        ("quote", "a b x 1 1 1 0"),
        ("funding", "a b"),
        ("action", "{"),
        ("stop", '{"x": 1}'),
        ("?", ""),
    ],
)
def test_an_unreadable_entry_is_refused(kind: str, payload: str) -> None:
    with pytest.raises(JournalFormatError, match="journal entry at 7"):
        decode(7, kind, payload)
