"""Migration scripts: a linear history; revision ids are the schema versions, `0001` onwards."""

from __future__ import annotations
