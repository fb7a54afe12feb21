"""The engine in its own thread with its own event loop, for the console."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.api.board import Board
from engine.api.health import EngineState, HealthView, StopReport
from engine.api.pauses import settle, short_pauses
from engine.api.queries import ConsoleQueries

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from engine.api.commands import Command
    from engine.api.engine import Engine

STOP_DEADLINE_S: Final = 15.0


class EngineThread(ConsoleQueries):
    """Hosts one ``Engine``. Every method may be called from any thread; only ``stop`` waits.

    The thread is a daemon, so that an engine that hangs cannot hold the terminal.
    """

    def __init__(
        self,
        *,
        config: Path,
        data_dir: Path,
        seconds: float | None = None,
        stop_deadline_s: float = STOP_DEADLINE_S,
    ) -> None:
        super().__init__(Board())
        self._config = config
        self._data_dir = data_dir
        self._seconds = seconds
        self._stop_deadline_s = stop_deadline_s
        self._ready: Future[tuple[Engine, BlockingPortal]] = Future()
        self._stop_wanted = threading.Event()
        self._report = StopReport(clean=True)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread and return at once; the first frame never waits for it."""
        self._thread.start()

    def submit(self, command: Command) -> str:
        """Queue *command* and return its id; its outcome is found by ``command(id)``."""
        from engine.api.command_event import CommandEvent
        from engine.api.commands import StopSession

        if isinstance(command, StopSession):
            self.board.stop_policy = command.policy
        event = CommandEvent(command=command)
        command_id = str(event.id)
        if not self._ready.done() or self._ready.exception():
            self._refuse(command_id, command, "the engine is not running")
            return command_id
        engine, portal = self._ready.result()
        try:
            portal.start_task_soon(engine.take, event, name="take command")
        except RuntimeError:
            self._refuse(command_id, command, "the engine has stopped")
        return command_id

    def stop(self) -> StopReport:
        """Stop gracefully and say what was left; waits until done or until the deadline."""
        if not self._thread.is_alive():
            return self._report
        # Set before the look at the portal: an engine that is still opening sees it afterwards.
        self._stop_wanted.set()
        if self._ready.done() and not self._ready.exception():
            _, portal = self._ready.result()
            # A portal that is closing already refuses.
            with suppress(RuntimeError):
                portal.start_task_soon(partial(portal.stop, cancel_remaining=True), name="stop")
        self._thread.join(self._stop_deadline_s)
        if self._thread.is_alive():
            return StopReport(
                clean=False,
                left=(
                    "the engine did not stop in time; the session is recovered at the next start",
                ),
                exit_code=1,
                message=f"quarterdeck: gave up waiting after {self._stop_deadline_s:g} s",
            )
        return self._report

    def _refuse(self, command_id: str, command: Command, reason: str) -> None:
        from engine.api.command_event import target_of
        from engine.live.clock import SystemClock

        self.board.refuse(
            command_id, command, reason, target=target_of(command), ts_ns=SystemClock().now_ns()
        )

    def _run(self) -> None:
        with short_pauses():  # also while modules load: the console draws its first frame
            import anyio

            try:
                anyio.run(self._main)
            except Exception as error:  # noqa: BLE001 (supervisor: the console must stay and say it)
                self._fault(error)

    async def _main(self) -> None:
        from anyio import create_task_group
        from anyio.from_thread import BlockingPortal

        from engine.api.engine import Engine

        async with (
            Engine.open(
                config=self._config,
                data_dir=self._data_dir,
                seconds=self._seconds,
                board=self.board,
            ) as engine,
            BlockingPortal() as portal,
            create_task_group() as tasks,
        ):
            tasks.start_soon(settle, name="settling")
            self._ready.set_result((engine, portal))
            if not self._stop_wanted.is_set():
                await portal.sleep_until_stopped()
            tasks.cancel_scope.cancel()
        self._report = engine.report()

    def _fault(self, error: Exception) -> None:
        exit_code = getattr(error, "exit_code", 1)
        message = _told(error)
        self.board.health = HealthView(EngineState.FAULTED, message=message, exit_code=exit_code)
        self._report = StopReport(clean=False, exit_code=exit_code, message=message)
        if not self._ready.done():
            self._ready.set_exception(error)


def _told(error: BaseException) -> str:
    """Return what happened; of a group of errors each one, not that there is a group."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(one) for one in error.exceptions)
    return str(error) or type(error).__name__
