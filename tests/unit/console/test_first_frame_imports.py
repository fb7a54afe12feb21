"""The first frame waits for nothing that only a running engine or an opened dialog needs."""

from __future__ import annotations

import subprocess
import sys

LATE = {
    "engine.api.views",
    "engine.api.commands",
    "engine.api.engine",
    "pydantic",
    "sqlalchemy",
    "tui.modals.dialog",
    "tui.state.session_text",
    "yaml",
}
PROGRAM = (
    "import sys, tui.app, tui.settings, tui.screens.dashboard, engine.api.thread;"
    "print(*sys.modules)"
)


def test_what_is_not_on_the_first_frame_loads_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert LATE & set(done.stdout.split()) == set()
