"""How busy the machine is, as far as the pace of agents depends on it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from engine.scheduling.readings import check_finite, clamp_fields


@dataclass(frozen=True, slots=True)
class SystemLoad:
    """Shares from 0 to 1 of what there is; None: not measured.

    Values outside are forced into range when the load is given to a scheduler.

    Raises:
        ValueError: a value is neither None nor a finite number.
    """

    cpu_usage: float | None = 0.0
    memory_usage: float | None = 0.0
    network_usage: float | None = 0.0
    io_usage: float | None = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                check_finite(value, f"system load: {field.name}")

    @property
    def mean(self) -> float | None:
        """Mean of what is measured; None when nothing is."""
        values = [value for value in self.to_dict().values() if value is not None]
        return sum(values) / len(values) if values else None

    def clamped(self) -> tuple[SystemLoad, int]:
        """Return the load forced into range, and how many values that changed."""
        return clamp_fields(self, {})

    def to_dict(self) -> dict[str, float | None]:
        """Return the four values by name."""
        return {
            field.name: None if (value := getattr(self, field.name)) is None else float(value)
            for field in fields(self)
        }


UNMEASURED = SystemLoad(None, None, None, None)
"""Nothing is known."""
