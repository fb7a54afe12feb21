"""Sample agents that ship: to be used from a session file, and to be read."""

from __future__ import annotations
