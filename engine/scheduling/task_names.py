"""Names that agents and tasks may have."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_LENGTH: Final = 200


def check_name(value: object, what: str) -> str:
    """Return *value* as it is; *what* it names goes into the error.

    Raises:
        ValueError: it is no text, empty, over 200 characters, or has control characters.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be text that is not empty, not {value!r}")
    if len(value) > MAX_LENGTH:
        raise ValueError(f"{what} must have at most {MAX_LENGTH} characters, not {len(value)}")
    if not value.isprintable() and any(unicodedata.category(one) == "Cc" for one in value):
        raise ValueError(f"{what} must have no control characters, not {value!r}")
    return value
