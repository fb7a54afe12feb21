"""The configuration of a session: the sections that each package owns, composed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.agents.config import AgentSection
from engine.execution.settings import BrokerSettings
from engine.executors.orchestrator_section import OrchestratorSection
from engine.executors.validation import DirectionalSide, PositiveDecimal
from engine.markets.config import MarketConfig, VenueConfig
from engine.model.clock import SECOND_NS, from_iso
from engine.model.durations import parse_duration_ns
from engine.risk.limits import RiskSettings
from engine.scheduling.control_settings import ControlApiSettings
from engine.scheduling.settings import SchedulingSettings


def _duration(value: object) -> object:
    return parse_duration_ns(str(value)) if isinstance(value, str | int | Decimal) else value


def _instant(value: object) -> object:
    return from_iso(value) if isinstance(value, str) and value != "now" else value


DurationNs: TypeAlias = Annotated[int, BeforeValidator(_duration), Field(gt=0)]
"""A duration such as ``90s``, ``4h`` or a number of seconds, in nanoseconds."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


RestartPolicyName = Literal["resume", "flatten", "hold", "ignore"]
"""What a restart makes of executors: they go on, are closed, are left as position holds, or fail
with what they hold left as position holds."""


class SessionSection(_Section):
    """What is run: its name, its mode, its time."""

    name: str = Field(
        default="main",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="letters, digits, - and _, at most 40",
    )
    mode: Literal["paper"] = Field(
        default="paper", description="orders are matched inside the session"
    )
    seed: int = Field(default=42, ge=0, lt=2**63, description="seed of everything random")
    speed: Literal["max"] | Annotated[Decimal, Field(gt=0, le=100_000)] = Field(
        default=Decimal(1), description="session seconds per second of wall time, or max"
    )
    start: Annotated[Literal["now"] | int, BeforeValidator(_instant)] = Field(
        default="now", description="session time at the start: now, or an ISO 8601 stamp"
    )
    bar: DurationNs = Field(
        default=60 * SECOND_NS, description="length of the bars that strategies see"
    )
    end_after: DurationNs | None = Field(
        default=None, description="session time after which it ends by itself"
    )
    on_end: Literal["flatten", "keep"] = Field(
        default="keep", description="what the end does with open positions"
    )

    on_restart: RestartPolicyName = Field(
        default="resume", description="what becomes of a session that was cut off"
    )

    @model_validator(mode="after")
    def _fast_needs_an_end(self) -> SessionSection:
        if self.speed == "max" and self.start == "now":
            raise ValueError("speed max runs on a simulated clock: set start to an ISO 8601 stamp")
        return self


class AccountSection(_Section):
    """The paper account."""

    currency: str = Field(
        default="USDT", pattern=r"^[A-Z0-9]{1,12}$", description="what equity is told in"
    )
    initial_balance: Decimal = Field(default=Decimal(100_000), gt=0, le=Decimal("1e15"))
    parity: tuple[str, ...] = Field(
        default=(), description="quote assets that count 1:1 as the account's currency"
    )


class ControllerSection(_Section):
    """A controller: opens and manages executors by itself."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique name")
    kind: str = Field(
        description="which controller, for example momentum, or your own as module:Class"
    )
    params: dict[str, object] = Field(default_factory=dict, description="its parameters")
    total_amount_quote: Decimal | None = Field(
        default=None, gt=0, description="its capital, which its return is told of"
    )
    on_restart: RestartPolicyName | None = Field(
        default=None,
        description="what becomes of its executors after a cut; the session's if empty",
    )


class InitialPositionSection(_Section):
    """A position that a controller begins with, at the first mid of its market (12.5)."""

    controller_id: str = Field(
        default="main", description="whose it is: main, or the id of a controller"
    )
    connector_name: str
    trading_pair: str
    amount: PositiveDecimal = Field(description="in base, a whole number of the market's lots")
    side: DirectionalSide = Field(description="BUY for a long position, SELL for a short one")


class StrategySection(_Section):
    """A strategy: gives signals, the risk manager makes orders of them."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$", description="unique name")
    kind: str = Field(
        description="which strategy, for example sma_cross, or package.module.Class of your own"
    )
    connector_name: str
    trading_pair: str
    params: dict[str, object] = Field(default_factory=dict, description="its parameters")
    folder: str = Field(
        default="", description="where the module of your own lies, default beside this file"
    )
    allow_imports: tuple[str, ...] = Field(
        default=(), description="packages that your own may be imported from"
    )


class SessionConfig(_Section):
    """A whole session file."""

    version: Literal[1] = Field(description="version of the file's format: 1")
    session: SessionSection = SessionSection()
    account: AccountSection = AccountSection()
    venues: tuple[VenueConfig, ...] = Field(min_length=1)
    markets: tuple[MarketConfig, ...] = Field(min_length=1)
    broker: BrokerSettings = BrokerSettings()
    risk: RiskSettings = RiskSettings()
    strategies: tuple[StrategySection, ...] = ()
    controllers: tuple[ControllerSection, ...] = ()
    orchestrator: OrchestratorSection = OrchestratorSection()
    initial_positions: tuple[InitialPositionSection, ...] = Field(
        default=(), description="positions that exist before the session"
    )
    agents: tuple[AgentSection, ...] = ()
    scheduling: SchedulingSettings = SchedulingSettings()
    control_api: ControlApiSettings = ControlApiSettings()
    modules: tuple[str, ...] = Field(
        default=(),
        description="your own modules with executor types, beside this file or where Python looks",
    )
    executors: tuple[Mapping[str, object], ...] = Field(
        default=(), description="executors that are created at the start, with their type"
    )

    def restart_policy(self, controller_id: str) -> RestartPolicyName:
        """Return what a restart makes of a controller's executors; by default the session's."""
        for section in self.controllers:
            if section.id == controller_id and section.on_restart is not None:
                return section.on_restart
        return self.session.on_restart

    @property
    def restart_policies(self) -> frozenset[RestartPolicyName]:
        """Return the policies that are in use."""
        names = ("main", *(section.id for section in self.controllers))
        return frozenset(map(self.restart_policy, names))
