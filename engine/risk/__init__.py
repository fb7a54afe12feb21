"""The risk manager: the gate in front of every order, its limits and sizers."""

from __future__ import annotations
