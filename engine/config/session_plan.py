"""A session file, read, validated and resolved: everything that is needed to build the session."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ValidationError

from engine.agents.config import AgentSection
from engine.agents.loading import AgentLoadError, load_agent_class
from engine.agents.session_agent import SessionAgent
from engine.config.document import ConfigError, Document, load_document, validate
from engine.config.own_types import (
    OwnTypeError,
    load_executor_module,
    own_controller_type,
    own_strategy_type,
    session_refusal,
)
from engine.config.problems import describe_all
from engine.config.session import SessionConfig, StrategySection
from engine.config.yaml_tree import Path
from engine.execution.cost_text import FREE_WARNING, cost_banner, is_free
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.position_store import InitialPosition
from engine.flow.errors import EngineError
from engine.markets.config import MarketConfigError, VenueConfig, build_source
from engine.markets.funding import FundingSchedule
from engine.markets.source import MarketSource
from engine.model.instruments import ConnectorPair, Instrument, OffGridError
from engine.model.orders import TradeType
from engine.strategies.catalogue import StrategyType, controller_types, strategy_types
from engine.strategies.controller import Controller
from engine.strategies.strategy import Strategy

_OTHER_DOCUMENTS: Final = {
    "live_trading": "live",
    "replay": "replay",
    "backtest": "backtest",
    "optimization": "optimize",
}
"""Sections that make a file one of another kind, and the command that takes it."""
_SEPARATORS: Final = frozenset(".:")
"""What an import path has and the name of a shipped strategy has not."""
_NOT_HASHED: Final = frozenset({"agents", "scheduling", "control_api"})
"""Sections of the shell: a recorded session replays without them, so it may go on with others."""


@dataclass(frozen=True, slots=True)
class PlannedAgent:
    """An agent of the session file with the class that it names."""

    section: AgentSection
    agent_class: type[SessionAgent]


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A session that can be built. Controllers and strategies are made once per session."""

    path: pathlib.Path
    config: SessionConfig
    sources: tuple[MarketSource, ...]
    controllers: tuple[Controller, ...]
    strategies: tuple[tuple[ConnectorPair, Strategy], ...]
    executors: tuple[ExecutorConfigBase, ...]
    agents: tuple[PlannedAgent, ...] = ()
    initial_positions: Mapping[str, tuple[InitialPosition, ...]] = field(default_factory=dict)
    """By controller."""

    @property
    def funding(self) -> tuple[FundingSchedule, ...]:
        """Return when the perpetuals pay funding, in the order of the file."""
        return tuple(
            FundingSchedule.of(ConnectorPair(one.venue, one.pair), one.funding)
            for one in self.config.markets
            if one.funding is not None
        )

    @property
    def instruments(self) -> dict[ConnectorPair, Instrument]:
        """Return the instruments by market, in the order of the file."""
        return {source.market: source.instrument for source in self.sources}

    @property
    def costs(self) -> str:
        """Return one line about the costs that the session assumes."""
        broker = self.config.broker
        return cost_banner(broker.slippage_model, broker.commission_model, venues=self._fees)

    @property
    def cost_warning(self) -> str:
        """Return what is told when trading costs nothing at all, empty if it costs something."""
        broker = self.config.broker
        free = is_free(broker.slippage_model, broker.commission_model, venues=self._fees)
        return FREE_WARNING if free else ""

    @property
    def _fees(self) -> dict[str, tuple[Decimal, Decimal]]:
        return {one.name: (one.maker_fee, one.taker_fee) for one in self.config.venues}

    @property
    def config_text(self) -> str:
        """Return the resolved configuration as canonical JSON; secrets show as asterisks."""
        plain = self.config.model_dump(mode="json")
        return json.dumps(plain, sort_keys=True, separators=(",", ":"))

    @property
    def config_hash(self) -> str:
        """Return the SHA-256 of what decides how the session goes."""
        plain = self.config.model_dump(mode="json", exclude=set(_NOT_HASHED))
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load_session_plan(path: pathlib.Path) -> SessionPlan:
    """Read the session file *path* and everything it names.

    Raises:
        ConfigError: something is wrong; every problem is listed with its file and line.
    """
    document = load_document(path)
    for section, command in _OTHER_DOCUMENTS.items():
        if section in document.data:
            text = f"is no part of a session, this file is for: quarterdeck {command} {path.name}"
            raise document.error((section,), text)
    config = validate(document, SessionConfig)
    return _PlanReader(document, config).read()


class _PlanReader:
    """Collects the problems of all sections, so that one look at them is enough."""

    def __init__(self, document: Document, config: SessionConfig) -> None:
        self._document = document
        self._config = config
        self._problems: list[str] = []

    def read(self) -> SessionPlan:
        load_builtin_executors()
        self._load_modules()
        sources = self._sources()
        controllers = self._controllers()
        strategies = self._strategies()
        executors = self._executors()
        positions = self._initial_positions(sources)
        agents = self._agents()
        if self._problems:
            raise ConfigError(self._problems)
        return SessionPlan(
            self._document.path,
            self._config,
            sources,
            controllers,
            strategies,
            executors,
            agents,
            positions,
        )

    def _load_modules(self) -> None:
        """Let the user's own modules register their executor types."""
        for index, name in enumerate(self._config.modules):
            try:
                load_executor_module(name, self._document.base_dir)
            except OwnTypeError as error:
                self._add(("modules", index), str(error))

    def _sources(self) -> tuple[MarketSource, ...]:
        venues = self._venues()
        assets = {self._config.account.currency, *self._config.account.parity}
        sources: dict[ConnectorPair, MarketSource] = {}
        for index, market in enumerate(self._config.markets):
            path: Path = ("markets", index)
            venue = venues.get(market.venue)
            if venue is None:
                self._add((*path, "venue"), _unknown("venue", market.venue, venues))
                continue
            if market.funding is not None and venue.kind != "perpetual":
                self._add((*path, "funding"), f"{venue.name} is a {venue.kind} venue: no funding")
            key = ConnectorPair(market.venue, market.pair)
            if key in sources:
                self._add((*path, "pair"), f"{market.pair} is already a market of {market.venue}")
            if key.quote not in assets:
                self._add(
                    (*path, "pair"),
                    f"{key.quote} is not the account's currency {self._config.account.currency}, "
                    f"add it to account.parity to count it 1:1",
                )
            seed = self._config.session.seed + index
            try:
                sources[key] = build_source(
                    market, venue, base_dir=self._document.base_dir, seed=seed
                )
            except MarketConfigError as error:
                self._add((*path, *error.path), error.text)
            except EngineError as error:
                self._add((*path, "source"), error.message)
        return tuple(sources.values())

    def _venues(self) -> dict[str, VenueConfig]:
        venues: dict[str, VenueConfig] = {}
        for index, venue in enumerate(self._config.venues):
            if venue.name in venues:
                self._add(("venues", index, "name"), f"{venue.name!r} is used twice")
            venues[venue.name] = venue
        return venues

    def _controllers(self) -> tuple[Controller, ...]:
        known = controller_types()
        controllers: dict[str, Controller] = {}
        for index, section in enumerate(self._config.controllers):
            path: Path = ("controllers", index)
            if section.id in controllers or section.id == "main":
                self._add((*path, "id"), f"{section.id!r} is taken, choose another")
            kind = known.get(section.kind)
            if kind is None and ":" in section.kind:
                try:
                    kind = own_controller_type(section.kind, self._document.base_dir)
                except OwnTypeError as error:
                    self._add((*path, "kind"), str(error))
                    continue
            if kind is None:
                self._add((*path, "kind"), _unknown("controller", section.kind, known))
                continue
            params = self._params((*path, "params"), kind.params_model, section.params)
            if params is not None:
                controllers[section.id] = kind.build(section.id, section.params)
        return tuple(controllers.values())

    def _strategies(self) -> tuple[tuple[ConnectorPair, Strategy], ...]:
        known = strategy_types()
        taken: set[str] = set()
        hedged = {venue.name for venue in self._config.venues if venue.is_hedged}
        strategies: list[tuple[ConnectorPair, Strategy]] = []
        for index, section in enumerate(self._config.strategies):
            path: Path = ("strategies", index)
            market = ConnectorPair(section.connector_name, section.trading_pair)
            if section.id in taken:
                self._add((*path, "id"), f"{section.id!r} is taken, choose another")
            taken.add(section.id)
            self._check_market((*path, "trading_pair"), market)
            if market.connector_name in hedged:
                text = (
                    f"{market.connector_name} has position_mode HEDGE, a strategy holds one net "
                    "position; use a venue with ONEWAY"
                )
                self._add((*path, "connector_name"), text)
            made = self._strategy(path, section, known)
            if made is not None:
                strategies.append((market, made))
        return tuple(strategies)

    def _strategy(
        self, path: Path, section: StrategySection, known: Mapping[str, StrategyType]
    ) -> Strategy | None:
        """Return the strategy of *section*; None after telling what is wrong."""
        kind = known.get(section.kind)
        if kind is not None:
            params = self._params((*path, "params"), kind.params_model, section.params)
            return None if params is None else kind.build(section.params)
        if not _SEPARATORS.intersection(section.kind):
            self._add((*path, "kind"), _unknown("strategy", section.kind, known))
            return None
        from engine.backtest.strategy_loading import StrategyLoadError, build_strategy

        try:
            own = own_strategy_type(section, self._document.base_dir)
            made = build_strategy(own, section.params)
        except OwnTypeError as error:
            self._add((*path, "kind"), str(error))
        except StrategyLoadError as error:
            self._add((*path, "params"), error.message)
        else:
            refusal = session_refusal(made)
            if not refusal:
                return made
            self._add((*path, "kind"), refusal)
        return None

    def _executors(self) -> tuple[ExecutorConfigBase, ...]:
        known = ExecutorFactory.registrations()
        configs: list[ExecutorConfigBase] = []
        for index, section in enumerate(self._config.executors):
            path: Path = ("executors", index)
            name = str(section.get("type", ""))
            registration = known.get(name)
            if registration is None:
                self._add((*path, "type"), _unknown("executor type", name, known))
                continue
            config = self._params(path, registration.config_type, section)
            if isinstance(config, ExecutorConfigBase):
                configs.append(config)
        return tuple(configs)

    def _initial_positions(
        self, sources: tuple[MarketSource, ...]
    ) -> dict[str, tuple[InitialPosition, ...]]:
        """Return the positions by controller; each must fit its market's grid and kind."""
        instruments = {source.market: source.instrument for source in sources}
        owners = {"main", *(section.id for section in self._config.controllers)}
        taken: set[tuple[str, ConnectorPair, TradeType | None]] = set()
        found: dict[str, list[InitialPosition]] = {}
        for index, section in enumerate(self._config.initial_positions):
            path: Path = ("initial_positions", index)
            market = ConnectorPair(section.connector_name, section.trading_pair)
            if section.controller_id not in owners:
                text = _unknown("controller", section.controller_id, owners)
                self._add((*path, "controller_id"), text)
            instrument = instruments.get(market)
            is_hedged = instrument is not None and instrument.is_hedged
            leg = (section.controller_id, market, section.side if is_hedged else None)
            if leg in taken:
                text = f"{section.controller_id} has a position of {market} already, add them up"
                self._add((*path, "trading_pair"), text)
            taken.add(leg)
            self._check_market((*path, "trading_pair"), market)
            if instrument is None:
                continue
            try:
                instrument.to_lots(section.amount)
            except OffGridError:
                text = f"{section.amount} is not a whole number of lots of {instrument.lot}"
                self._add((*path, "amount"), text)
            if section.side is TradeType.SELL and not instrument.shortable:
                text = f"{market} is a spot market, which holds no short position; use BUY"
                self._add((*path, "side"), text)
            position = InitialPosition(market, section.amount, section.side)
            found.setdefault(section.controller_id, []).append(position)
        return {name: tuple(positions) for name, positions in found.items()}

    def _agents(self) -> tuple[PlannedAgent, ...]:
        taken: set[str] = set()
        agents: list[PlannedAgent] = []
        for index, section in enumerate(self._config.agents):
            path: Path = ("agents", index)
            if section.id in taken:
                self._add((*path, "id"), f"{section.id!r} is taken, choose another")
            taken.add(section.id)
            try:
                kind = load_agent_class(section, base_dir=self._document.base_dir)
            except AgentLoadError as error:
                self._add((*path, error.field), error.message)
                continue
            if self._params((*path, "params"), kind.params_model, section.params) is not None:
                agents.append(PlannedAgent(section, kind))
        return tuple(agents)

    def _params(
        self,
        path: Path,
        model: type[BaseModel],
        values: Mapping[str, object],
    ) -> BaseModel | None:
        try:
            params = model.model_validate(dict(values))
        except ValidationError as error:
            plain = self._document.value_at(path)
            for place, text in describe_all(error.errors(include_url=False), plain, model):
                self._add((*path, *place), text)
            return None
        connector = getattr(params, "connector_name", None)
        pair = getattr(params, "trading_pair", None)
        if connector is not None and pair is not None:
            self._check_market((*path, "trading_pair"), ConnectorPair(connector, pair))
        for name in ("buying_market", "selling_market"):
            market = getattr(params, name, None)
            if isinstance(market, ConnectorPair):
                self._check_market((*path, name), market)
        return params

    def _check_market(self, path: Path, market: ConnectorPair) -> None:
        """Look *market* up among those that the file names, whether or not they can be built."""
        named = {f"{one.venue}:{one.pair}" for one in self._config.markets}
        if str(market) not in named:
            self._add(path, _unknown("market", str(market), named))

    def _add(self, path: Path, text: str) -> None:
        self._problems.append(self._document.problem(path, text))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    allowed = ", ".join(sorted(known)) or "none"
    return f"{what} {name!r} is not known, allowed: {allowed}"
