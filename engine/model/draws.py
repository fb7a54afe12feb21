"""Random draws that are keyed, never drawn by call order (DET-3)."""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1


def mix(value: int) -> int:
    """Return the SplitMix64 finaliser of *value*, modulo 2**64.

    Source:
        Steele, Lea, Flood (2014), "Fast Splittable Pseudorandom Number Generators", OOPSLA.
    """
    z = (value + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform(seed: int, stream: int, a: int, b: int) -> float:
    """Return the draw of (*seed*, *stream*, *a*, *b*) in [0, 1)."""
    return (mix(mix(mix(mix(seed) ^ stream) ^ a) ^ b) >> 11) * 2.0**-53
