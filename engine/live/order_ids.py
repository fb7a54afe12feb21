"""Client order ids that are never used twice (LIVE-8): `<container>-O<counter>`."""

from __future__ import annotations

from typing import Final

_MARK: Final = "-O"
_DIGITS: Final = 8


def prefix_of(strategy_id: str) -> str:
    """Return what the client order ids of a strategy start with: its container's id."""
    return f"live_{strategy_id}"


def strategy_of(client_order_id: str) -> str | None:
    """Return the strategy that a client order id was made for; None if it is not of our scheme."""
    prefix, mark, number = client_order_id.rpartition(_MARK)
    is_ours = prefix.startswith("live_") and mark and number.isdecimal() and len(number) >= _DIGITS
    return prefix.removeprefix("live_") if is_ours else None


def number_of(client_order_id: str) -> int:
    """Return the counter in a client order id of our scheme, -1 in another one."""
    if strategy_of(client_order_id) is None:
        return -1
    return int(client_order_id.rpartition(_MARK)[2])


class OrderIds:
    """Gives the ids of one strategy; the counter goes on where an earlier life of it ended.

    Args:
        strategy_id: the strategy.
        first: the first number, one more than the last that was written down.
    """

    def __init__(self, strategy_id: str, *, first: int = 0) -> None:
        self._prefix = prefix_of(strategy_id)
        self._next = first

    def __call__(self) -> str:
        """Return the next id."""
        client_order_id = f"{self._prefix}{_MARK}{self._next:0{_DIGITS}d}"
        self._next += 1
        return client_order_id
