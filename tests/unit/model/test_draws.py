"""DET-3: keyed draws."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.model.draws import mix, uniform

_WORDS = st.integers(0, 2**64 - 1)


def test_mix_is_splitmix64() -> None:
    # First outputs of SplitMix64 with state 0, from the reference implementation's test vectors.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


@given(_WORDS, _WORDS, _WORDS, _WORDS)
def test_a_draw_depends_on_its_key_only(seed: int, stream: int, a: int, b: int) -> None:
    draw = uniform(seed, stream, a, b)
    assert 0.0 <= draw < 1.0
    assert draw == uniform(seed, stream, a, b)
