"""The console: Textual screens over the engine's door, and the command line."""

from __future__ import annotations
