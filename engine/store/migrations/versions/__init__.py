"""The revisions. A script never changes after its release and imports nothing from the store."""

from __future__ import annotations
