"""One key at a time: what is typed ahead waits until the key before it has had its effect."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import anyio
from textual.app import ScreenStackError

if TYPE_CHECKING:
    from textual import events
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.screen import Screen

_ROUNDS: Final = 6
"""Hand-overs between widgets until a key has had its effect: enter at ``:q`` needs five."""
_LOOK_S: Final = 0.05
"""How often it is asked whether a widget that does not answer is still there."""
_PATIENCE_S: Final = 10.0
"""After this long without an answer whatever was typed ahead is dropped, never obeyed."""
MOST_HELD: Final = 1_000
"""Keys that wait; more, such as a file sent to the terminal by mistake, are dropped."""
_WAY_OUT: Final = "ctrl+c"


class KeyGate:
    """Holds keys and pastes back while an earlier one may still open a prompt or a dialog.

    Widgets handle keys one after the other but each in its own task, and a prompt or a dialog
    takes the focus later than the key that opens it was handled. Without the gate the text of a
    burst such as ``/galaxy`` would be commands to the table.

    The app asks ``holds`` for every key, calls ``passed`` once it has handed a key on, and keeps
    ``run`` running. ``busy`` says whether a key has not had its effect yet.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: deque[events.Key | events.Paste] = deque()
        self._next: events.Event | None = None
        self._handed_on = asyncio.Event()
        self.busy = False
        self._open_screen: Screen[Any] | None = None

    def holds(self, event: events.Key | events.Paste) -> bool:
        """Return whether *event* must wait; it then comes again as soon as it may pass."""
        if event is self._next:
            self._next = None
            return False
        if self.busy:
            if getattr(event, "key", "") == _WAY_OUT:
                self._held.clear()  # whoever wants out does not wait for what was typed before
            if len(self._held) < MOST_HELD:
                self._held.append(event)
            return True
        self.busy = True
        return False

    def passed(self) -> None:
        """Take note that the key which did not have to wait was handed on."""
        self._handed_on.set()

    async def run(self) -> None:
        """Wait for the effect of each key that was handed on, then let the next one come."""
        while True:
            await self._handed_on.wait()
            self._handed_on.clear()
            try:
                with anyio.fail_after(_PATIENCE_S):
                    await self._wait_for_effect()
                    await self._wait_for_focus()
            except (TimeoutError, ScreenStackError):
                self._held.clear()
            if self._held:
                self._next = self._held.popleft()
                _ = self._app.post_message(self._next)
            else:
                self.busy = False

    async def _wait_for_effect(self) -> None:
        """Let everything that the key set off reach the app, from the focus upwards."""
        for _ in range(_ROUNDS):
            target = self._app.focused or self._app.screen
            for node in target.ancestors_with_self:
                await _answer(node)

    async def _wait_for_focus(self) -> None:
        """Wait until a screen or a prompt that has just opened takes keys."""
        screen = self._app.screen
        while screen is not self._open_screen or _prompt_opens(screen):
            if not _prompt_opens(screen) and (screen.focused or await _is_painted(screen)):
                self._open_screen = screen
            else:
                await _answer(screen)
                await anyio.sleep(0.001)
            screen = self._app.screen


def _prompt_opens(screen: Screen[Any]) -> bool:
    # By name: the prompt's module loads when the first prompt opens.
    return any(not bar.has_class("-ready") for bar in screen.query("PromptBar"))


async def _is_painted(screen: Screen[Any]) -> bool:
    """Return whether *screen*, which gave the focus to nothing, is on the terminal."""
    if not screen.is_mounted:
        return False
    # Twice: the first may come before what the screen itself wants done after its first paint.
    for _ in range(2):
        painted = asyncio.Event()
        if screen.call_after_refresh(painted.set):
            await _until(painted, screen)
    return True


async def _answer(node: MessagePump) -> None:
    """Wait until *node* has handled what was sent to it before, or is gone."""
    reached = asyncio.Event()
    if node.call_later(reached.set):
        await _until(reached, node)


async def _until(reached: asyncio.Event, node: MessagePump) -> None:
    while not reached.is_set() and node.is_running:
        with anyio.move_on_after(_LOOK_S):
            await reached.wait()
