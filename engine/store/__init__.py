"""The store: SQLite files, records, journal and migrations. Importing it loads no database code."""

from __future__ import annotations
