"""What can go wrong with the store, in sentences for the operator."""

from __future__ import annotations

from engine.flow.errors import EngineError


class StoreError(EngineError):
    """The data directory or its database cannot be used."""

    default_retryable = False


class StoreInUseError(StoreError):
    """Another process works on the data directory; `details["pid"]` is its id, if known."""


class StoreWriteError(StoreError):
    """A batch was not written; nothing of it is in the database. An incident, never routine."""
