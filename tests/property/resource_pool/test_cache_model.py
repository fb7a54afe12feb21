"""The cache against a plain model: what it holds, what it drops, how large it gets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scheduling.response_cache import ResponseCache

MISSING = object()
keys = st.sampled_from("abcdefgh")
lifetimes = st.sampled_from([0.0, 1.0, 2.0, 5.0, float("inf")])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), keys, lifetimes),
        st.tuples(st.just("get"), keys, st.just(0.0)),
        st.tuples(st.just("delete"), keys, st.just(0.0)),
        st.tuples(st.just("pass"), st.just(""), st.sampled_from([0.5, 1.0, 3.0])),
        st.tuples(st.just("resize"), st.just(""), st.sampled_from([0.0, 1.0, 3.0, 6.0])),
    ),
    max_size=80,
)


class Model:
    """A dictionary in the order of use, the least recently used first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: dict[str, tuple[int, float]] = {}

    def drop_expired(self, now: float) -> None:
        self.entries = {key: entry for key, entry in self.entries.items() if now < entry[1]}

    def shrink(self) -> None:
        while len(self.entries) > self.size:
            del self.entries[next(iter(self.entries))]


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, 5), script=steps)
def test_the_cache_does_what_a_plain_model_does(
    size: int, script: list[tuple[str, str, float]]
) -> None:
    now = 0.0
    cache = ResponseCache(size, lambda: now)
    model = Model(size)
    for number, (what, key, amount) in enumerate(script):
        model.drop_expired(now)
        if what == "pass":
            now += amount
        elif what == "resize":
            cache.resize(int(amount))
            model.size = int(amount)
            model.shrink()
        elif what == "set":
            cache.set(key, number, amount)
            model.entries.pop(key, None)
            if amount > 0 and model.size > 0:
                model.entries[key] = (number, now + amount)
                model.shrink()
        elif what == "delete":
            assert cache.delete(key) is (model.entries.pop(key, None) is not None)
        else:
            found = model.entries.pop(key, None)
            assert cache.get(key, MISSING) is (MISSING if found is None else found[0])
            if found is not None:
                model.entries[key] = found
        assert cache.size <= model.size
    model.drop_expired(now)
    assert cache.live_size() == len(model.entries)
