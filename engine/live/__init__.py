"""Live and paper sessions: the shell that feeds a container and carries out its effects."""

from __future__ import annotations
