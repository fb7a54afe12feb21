"""Takes immutable pictures of a session for readers on other threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.containers.session_container import SessionContainer
from engine.live.published import PublishedMarket, PublishedSession
from engine.live.recorder import Recorder

if TYPE_CHECKING:
    from engine.live.session_runner import RunnerFigures, SessionState


class Progress(Protocol):
    """How far a session is; its runner knows."""

    figures: RunnerFigures
    state: SessionState

    @property
    def now_ns(self) -> int:
        """Return the session time of the newest input."""
        ...

    @property
    def queue_length(self) -> int:
        """Return how many requests wait for their turn."""
        ...


class Picture:
    """Copies references, not rows: executors, orders and fills are immutable values already."""

    def __init__(
        self,
        *,
        session_id: str,
        name: str,
        mode: str,
        speed: str,
        started_ns: int,
        container: SessionContainer,
        recorder: Recorder,
    ) -> None:
        self._session_id = session_id
        self._name = name
        self._mode = mode
        self._speed = speed
        self._started_ns = started_ns
        self._container = container
        self._recorder = recorder
        self._version = 0

    def take(self, runner: Progress) -> PublishedSession:
        """Return the state of the session after its newest input."""
        self._version += 1
        container, recorder = self._container, self._recorder
        orchestrator = container.orchestrator
        data_handler = container.data_handler
        recorder.sample_equity(runner.now_ns)
        executors = recorder.gallery.executors()
        return PublishedSession(
            version=self._version,
            id=self._session_id,
            name=self._name,
            mode=self._mode,
            state=runner.state.value,
            problem=runner.figures.problem,
            speed=self._speed,
            started_ns=self._started_ns,
            now_ns=runner.now_ns,
            inputs=recorder.inputs,
            events=container.events_published,
            queue=runner.queue_length,
            tick_ms=runner.figures.tick_ms,
            lag_ms=runner.figures.lag_ms,
            markets={
                market: PublishedMarket(
                    data_handler.instrument(market),
                    data_handler.quote(market),
                    data_handler.first_mid_twice(market),
                    data_handler.trend(market),
                )
                for market in data_handler.markets
            },
            account=container.portfolio.account_snapshot(),
            free=container.free_funds(),
            executors=executors,
            archived=recorder.gallery.archived(),
            archived_performance=orchestrator.archived_performance(),
            executor_counts=recorder.gallery.counts(),
            membership=recorder.gallery.membership,
            held_lots=dict(container.held_lots()),
            positions_held=tuple(
                summary
                for summaries in orchestrator.get_positions_report().values()
                for summary in summaries
            ),
            orders=dict(recorder.orders),
            fills=tuple(recorder.fills),
            fill_count=recorder.fill_count,
            order_count=container.order_manager.total_count,
            equity=recorder.equity.samples(),
            alerts=recorder.alerts,
            controllers=container.controller_states(),
        )
