"""How one cycle of an agent is run so that its failures come through."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine.scheduling.agent_record import Work
from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.errors import CycleFailed


def cycle_work(agent: Any) -> Work:  # noqa: ANN401 (a BaseAgent, or anything like one)
    """Return what runs one cycle of *agent* and raises what it raised.

    `BaseAgent.run_cycle` turns exceptions into an answer, so the engine runs what is under it. An
    agent with a `run_cycle` of its own is asked for its answer.

    Raises:
        TypeError: *agent* has no `run_cycle`.
    """
    if isinstance(agent, BaseAgent) and type(agent).run_cycle is BaseAgent.run_cycle:
        return agent.execute_cycle
    if not callable(getattr(agent, "run_cycle", None)):
        raise TypeError(f"{agent!r} is no agent: it has no run_cycle")
    return partial(_run_reported, agent)


async def _run_reported(agent: Any, pool: Any) -> Any:  # noqa: ANN401 (as above)
    answer = await agent.run_cycle(pool)
    if isinstance(answer, Mapping) and answer.get("success") is False:
        reason = answer.get("error") or answer.get("message") or "the cycle reported a failure"
        raise CycleFailed(f"agent {agent.agent_id}: {reason}")
    return answer


def is_running(agent: Any) -> bool:  # noqa: ANN401 (as above)
    """Return whether *agent* is `running`; its status may be a plain word."""
    status = getattr(agent, "status", None)
    if isinstance(status, AgentStatus):
        return status is AgentStatus.RUNNING
    return str(getattr(status, "value", status)).lower() == AgentStatus.RUNNING
