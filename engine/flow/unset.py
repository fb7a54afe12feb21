"""The sentinel that says "no value yet", which `None` cannot say."""

from __future__ import annotations

from typing import Final, Self, final


@final
class UnsetType:
    """Type of `Unset`: one falsy instance for each process, kept by copy and pickle."""

    __slots__ = ()
    _only: UnsetType | None = None

    def __new__(cls) -> UnsetType:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Unset"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[UnsetType], tuple[()]]:
        return (UnsetType, ())


Unset: Final = UnsetType()
