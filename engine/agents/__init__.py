"""Agents of a session: the engine's own recurring work, the samples, and what own ones build on.

An own agent subclasses `session_agent.SessionAgent` and is named in the session file. It reads the
session's published picture and asks for actions through its `context`; see `context.py`.
"""

from __future__ import annotations
