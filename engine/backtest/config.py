"""Configuration of a backtest: the models of the YAML document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum, unique
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from engine.execution.bar_settings import BarBrokerSettings
from engine.execution.cost_settings import CommissionSettings, NoCommissionSettings
from engine.executors.validation import PositionModeName
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.data_report import CHECKS, Policy
from engine.markets.stamps import BarDuration, parse_bar_duration
from engine.markets.windows import SplitSettings
from engine.model.calendar import SessionCalendar
from engine.model.clock import from_iso
from engine.model.instruments import Settlement
from engine.model.market_events import CorporateAction, CorporateActionKind, Funding
from engine.model.orders import PositionMode
from engine.model.rates import Rate, SignedRate, to_ppb
from engine.portfolio.account_settings import AccountSettings
from engine.risk.bar_limits import BarRiskSettings

MAX_SEED: Final = 2**63


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@unique
class Mode(StrEnum):
    """Modes of execution."""

    BACKTEST_SINGLE = "BACKTEST_SINGLE"
    BACKTEST_PARALLEL = "BACKTEST_PARALLEL"
    OPTIMIZATION = "OPTIMIZATION"
    LIVE_TRADING = "LIVE_TRADING"
    PAPER_TRADING = "PAPER_TRADING"
    REPLAY = "REPLAY"


@unique
class ThreadModel(StrEnum):
    """Where containers run; never changes a result (MODE-1)."""

    SINGLE_THREADED = "SINGLE_THREADED"
    MULTI_THREADED = "MULTI_THREADED"
    PROCESS_PARALLEL = "PROCESS_PARALLEL"
    ASYNC_SINGLE = "ASYNC_SINGLE"
    ASYNC_MULTI = "ASYNC_MULTI"
    MIXED = "MIXED"


DEFAULT_THREAD_MODELS: Final[Mapping[Mode, ThreadModel]] = {
    Mode.BACKTEST_SINGLE: ThreadModel.SINGLE_THREADED,
    Mode.BACKTEST_PARALLEL: ThreadModel.MULTI_THREADED,
    Mode.OPTIMIZATION: ThreadModel.PROCESS_PARALLEL,
    Mode.LIVE_TRADING: ThreadModel.ASYNC_MULTI,
    Mode.PAPER_TRADING: ThreadModel.ASYNC_MULTI,
    Mode.REPLAY: ThreadModel.SINGLE_THREADED,
}


@unique
class EngineChoice(StrEnum):
    """Which path executes."""

    AUTO = "auto"
    EVENTS = "events"
    COMPILED = "compiled"


@unique
class IsolationLevel(StrEnum):
    """What several strategies share."""

    FULL = "full"
    PORTFOLIO = "portfolio"


def _duration_text(value: object) -> object:
    if isinstance(value, str):
        parse_bar_duration(value)
    return value


DurationText: TypeAlias = Annotated[str, BeforeValidator(_duration_text)]
"""Length of a bar: ``5m``, ``1h``, ``1d``, ``1w``, ``1mo``."""

PolicyMap: TypeAlias = dict[str, Policy]


class SessionHours(_Section):
    """Trading sessions of an exchange."""

    timezone: str = Field(default="UTC", description="IANA time zone")
    opens: str = Field(default="00:00", pattern=r"^\d\d:\d\d$", description="local, HH:MM")
    closes: str = Field(default="24:00", pattern=r"^\d\d:\d\d$", description="local, HH:MM")
    days: tuple[int, ...] = Field(
        default=(0, 1, 2, 3, 4, 5, 6), description="weekdays, Monday is 0"
    )

    def calendar(self) -> SessionCalendar:
        """Return the calendar."""
        return SessionCalendar(
            timezone=self.timezone,
            opens_ns=_minutes_ns(self.opens),
            closes_ns=_minutes_ns(self.closes),
            days=frozenset(self.days),
        )


def _minutes_ns(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return (60 * int(hours) + int(minutes)) * 60 * 1_000_000_000


def _instant(value: object) -> object:
    return from_iso(value) if isinstance(value, str) else value


Instant: TypeAlias = Annotated[int, BeforeValidator(_instant)]
"""An ISO 8601 stamp, in ns."""


class FundingEntry(_Section):
    """One funding payment of a perpetual (PF-9)."""

    ts: Instant = Field(description="ISO 8601 stamp")
    rate: SignedRate = Field(description="fraction of the value; positive: longs pay")


class ActionEntry(_Section):
    """A split or a dividend at its ex stamp (PF-10)."""

    ts: Instant = Field(description="ISO 8601 stamp")
    kind: CorporateActionKind = Field(description="split or dividend")
    ratio: tuple[int, int] = Field(default=(1, 1), description="of a split: [new, old]")
    amount: Decimal = Field(default=Decimal(0), ge=0, description="of a dividend, per unit")

    @model_validator(mode="before")
    @classmethod
    def _two_numbers(cls, data: object) -> object:
        """Read ``ratio_num`` and ``ratio_den``, the columns of a record, as ``ratio``."""
        if not isinstance(data, Mapping) or "ratio" in data or "ratio_num" not in data:
            return data
        read = dict(data)
        read["ratio"] = (read.pop("ratio_num"), read.pop("ratio_den", 1))
        return read

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind is CorporateActionKind.SPLIT and (min(self.ratio) < 1 or self.amount):
            raise ValueError("a split has a ratio of two whole numbers above 0, [new, old]")
        if self.kind is CorporateActionKind.DIVIDEND and not self.amount:
            raise ValueError("a dividend has an amount per unit")
        return self


class ExecutionBars(_Section):
    """Finer bars that orders are matched on; strategies see the entry's own (TIME-4)."""

    path: str = Field(min_length=1, description="file of the finer bars")
    bar: DurationText = Field(description="their length")
    timestamp_is: Literal["open", "close"] = Field(default="open", description="what stamps mean")


class DataEntry(_Section):
    """One file of bars and the instrument that it belongs to."""

    symbol: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,39}$", description="name of the symbol"
    )
    path: str = Field(
        min_length=1, description="CSV, Parquet or Arrow file, from this file's folder"
    )
    bar: DurationText | None = Field(
        default=None, description="length of a bar; needed unless the stamps are plain dates"
    )
    timestamp_is: Literal["open", "close"] = Field(default="open", description="what stamps mean")
    timezone: str | None = Field(default=None, description="of stamps without one; default UTC")
    epoch_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="of stamps that are numbers"
    )
    tick: Decimal | None = Field(default=None, gt=0, description="price step; default inferred")
    lot: Decimal = Field(default=Decimal(1), gt=0, description="quantity step")
    multiplier: Decimal = Field(default=Decimal(1), gt=0, description="currency per point and unit")
    min_qty: Decimal = Field(default=Decimal(0), ge=0, description="least quantity of an order")
    max_qty: Decimal = Field(default=Decimal("1e56"), gt=0, description="most quantity of an order")
    min_notional: Decimal = Field(default=Decimal(0), ge=0, description="least value of an order")
    settlement: Settlement = Field(default=Settlement.SPOT, description="spot or derivative")
    position_mode: PositionModeName = Field(
        default=PositionMode.ONEWAY,
        description="of executors on a derivative: ONEWAY nets opposite positions, HEDGE keeps a "
        "long and a short one side by side",
    )
    shortable: bool = Field(default=True, description="whether it may be sold short")
    sessions_per_year: Decimal | None = Field(default=None, gt=0, description="for annual figures")
    session: SessionHours | None = Field(default=None, description="trading hours")
    validation: PolicyMap = Field(
        default_factory=dict, description="error, drop, fix or keep by check V1 to V13"
    )
    jump_limit: Decimal = Field(default=Decimal("0.5"), gt=0, description="fraction of check V10")
    allow_nonpositive: bool = Field(default=False, description="keep prices at or below zero")
    fill_gaps: Literal["none", "flat"] = Field(default="none", description="insert flat bars")
    price_adjust: Literal["ratio"] | None = Field(
        default=None, description="scale prices by the adjusted close"
    )
    resample: DurationText | None = Field(default=None, description="coarser bars to run on")
    execution_bars: ExecutionBars | None = Field(
        default=None, description="finer bars for matching"
    )
    funding: tuple[FundingEntry, ...] = Field(default=(), description="payments of a perpetual")
    corporate_actions: tuple[ActionEntry, ...] = Field(
        default=(), description="splits and dividends"
    )
    currency: str | None = Field(
        default=None, min_length=1, description="that it is quoted in; default the account's"
    )
    fx_symbol: str | None = Field(
        default=None,
        description="symbol of the data whose price is one unit of that currency in the account's",
    )
    connector_name: str = Field(
        default="backtest", pattern=r"^[a-z][a-z0-9_]{0,39}$", description="venue of executors"
    )

    @field_validator("validation")
    @classmethod
    def _policies_are_known(cls, value: PolicyMap) -> PolicyMap:
        wrong = [
            f"{code!r} is no check, known: {', '.join(CHECKS)}"
            if code not in CHECKS
            else f"{code}: {policy!r} is not allowed, use {', '.join(CHECKS[code])}"
            for code, policy in value.items()
            if policy not in CHECKS.get(code, ())
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return value

    @model_validator(mode="after")
    def _only_derivatives_hedge(self) -> Self:
        if self.position_mode is PositionMode.HEDGE and self.settlement is Settlement.SPOT:
            raise ValueError(
                f"position_mode: HEDGE is for settlement derivative, {self.symbol} is spot: it is "
                "an asset; allowed: ONEWAY"
            )
        return self

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        fine, own = self.execution_bars, self.resample or self.bar
        if fine is not None and own is not None:
            coarse = parse_bar_duration(own).nominal_ns
            if parse_bar_duration(fine.bar).nominal_ns >= coarse:
                raise ValueError(f"execution_bars: {fine.bar} is not finer than the bars {own}")
        if self.bar is not None and self.resample is not None:
            coarse = parse_bar_duration(self.resample).nominal_ns
            if coarse <= parse_bar_duration(self.bar).nominal_ns:
                raise ValueError(f"resample: {self.resample} is not coarser than bar {self.bar}")
        return self

    def options(self) -> BarFileOptions:
        """Return how the file is read."""
        return BarFileOptions(
            bar=None if self.bar is None else parse_bar_duration(self.bar),
            timestamp_is=self.timestamp_is,
            timezone=self.timezone,
            epoch_unit=self.epoch_unit,
            tick=self.tick,
            lot=self.lot,
            policies=dict(self.validation),
            jump_limit=self.jump_limit,
            allow_nonpositive=self.allow_nonpositive,
            fill_gaps=self.fill_gaps,
            price_adjust=self.price_adjust,
            calendar=None if self.session is None else self.session.calendar(),
        )

    def terms(self, money_precision: int) -> InstrumentTerms:
        """Return the instrument before its tick is known."""
        return InstrumentTerms(
            symbol=self.symbol,
            tick=self.tick,
            lot=self.lot,
            multiplier=self.multiplier,
            min_qty=self.min_qty,
            max_qty=self.max_qty,
            min_notional=self.min_notional,
            settlement=self.settlement,
            shortable=self.shortable,
            money_precision=money_precision,
            venue=self.connector_name,
        )

    def funding_events(self) -> list[Funding]:
        """Return the funding payments in the order of their time."""
        return [
            Funding(one.ts, to_ppb(one.rate)) for one in sorted(self.funding, key=lambda x: x.ts)
        ]

    def action_events(self, money_precision: int) -> list[CorporateAction]:
        """Return the corporate actions in the order of their time."""
        return [
            CorporateAction(
                one.ts,
                one.kind,
                one.ratio[0],
                one.ratio[1],
                int(one.amount.scaleb(money_precision)),
            )
            for one in sorted(self.corporate_actions, key=lambda x: x.ts)
        ]

    def fine_entry(self) -> DataEntry | None:
        """Return the entry of the finer bars, None without them."""
        fine = self.execution_bars
        if fine is None:
            return None
        return self.model_copy(
            update={
                "path": fine.path,
                "bar": fine.bar,
                "timestamp_is": fine.timestamp_is,
                "resample": None,
                "execution_bars": None,
            }
        )

    def coarser(self) -> BarDuration | None:
        """Return the length that bars are resampled to, None if they are not."""
        return None if self.resample is None else parse_bar_duration(self.resample)


class SplitSection(_Section):
    """How train and test are cut (COORD-6)."""

    method: Literal["ratio", "date", "bars"] = Field(default="ratio", description="unit of train")
    train: Decimal | str | int = Field(
        default=Decimal("0.7"), description="fraction, date, or number of bars of the train part"
    )
    purge: int = Field(default=0, ge=0, description="bars between train and test")
    embargo: int = Field(default=0, ge=0, description="bars after a test kept out of training")

    @model_validator(mode="after")
    def _fits_method(self) -> Self:
        self.settings()
        return self

    def settings(self) -> SplitSettings:
        """Return the split."""
        return SplitSettings(self.method, self.train, self.purge, self.embargo)


class DataHandlerParams(_Section):
    """Parameters of the data handler."""

    cache_size: int = Field(default=10_000, ge=1, description="bars of the hot window")
    enable_splits: bool = Field(default=False, description="run train and test as well")
    split: SplitSection = SplitSection()


class DataHandlerSection(_Section):
    """The data handler."""

    kind: Literal["HistoricalDataHandler"] = Field(
        default="HistoricalDataHandler", alias="class", description="class of the component"
    )
    params: DataHandlerParams = DataHandlerParams()


class StrategySection(_Section):
    """A strategy: a shipped one by name, or a class by its import path."""

    kind: str = Field(
        alias="class", min_length=1, description="name of a strategy, or package.module.Class"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the strategy")
    symbols: tuple[str, ...] | None = Field(
        default=None, description="symbols that it sees; all without"
    )
    id: str = Field(default="", max_length=40, description="name of the strategy in results")


class PortfolioSection(_Section):
    """The account."""

    kind: Literal["Portfolio"] = Field(
        default="Portfolio", alias="class", description="class of the component"
    )
    params: AccountSettings = AccountSettings()


class RiskManagerSection(_Section):
    """Sizer and limits."""

    kind: Literal["RiskManager"] = Field(
        default="RiskManager", alias="class", description="class of the component"
    )
    params: BarRiskSettings = BarRiskSettings()


class SimulatedBrokerSection(_Section):
    """The broker that matches orders against bars."""

    kind: Literal["SimulatedBroker"] = Field(
        default="SimulatedBroker", alias="class", description="class of the component"
    )
    params: BarBrokerSettings = BarBrokerSettings()


class PassthroughParams(_Section):
    """Parameters of the broker for tests and wiring."""

    default_price: Decimal | None = Field(
        default=None, gt=0, description="price of an order without any other"
    )
    commission_model: CommissionSettings = NoCommissionSettings()


class PassthroughBrokerSection(_Section):
    """The broker that fills everything at once."""

    kind: Literal["PassthroughBroker"] = Field(alias="class", description="class of the component")
    params: PassthroughParams = PassthroughParams()


def _broker_kind(value: object) -> object:
    """Read a broker without a class as the simulated one."""
    if isinstance(value, Mapping) and "class" not in value and "kind" not in value:
        return {"class": "SimulatedBroker", **value}
    return value


BrokerSection: TypeAlias = Annotated[
    Annotated[SimulatedBrokerSection | PassthroughBrokerSection, Field(discriminator="kind")],
    BeforeValidator(_broker_kind),
]


class Components(_Section):
    """The components of the container."""

    data_handler: DataHandlerSection = DataHandlerSection()
    strategy: StrategySection | None = Field(default=None, description="what decides")
    strategies: tuple[StrategySection, ...] = Field(
        default=(), description="several strategies instead of one"
    )
    portfolio: PortfolioSection = PortfolioSection()
    risk_manager: RiskManagerSection = RiskManagerSection()
    broker: BrokerSection = SimulatedBrokerSection()

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.strategy is not None and self.strategies:
            raise ValueError("strategy and strategies are given: give one of them")
        return self

    @property
    def all_strategies(self) -> tuple[StrategySection, ...]:
        """Return the strategies, one or several."""
        return (self.strategy,) if self.strategy is not None else self.strategies


class MetricsSection(_Section):
    """How statistics are made."""

    risk_free: Rate = Field(default=Decimal(0), description="annual risk-free rate, a fraction")
    periods_per_year: Decimal | None = Field(
        default=None, gt=0, description="N of annual figures; default found from the data"
    )
    annualise_short: bool = Field(default=False, description="annualise less than 30 days too")


class BacktestConfig(_Section):
    """The section ``backtest`` of a document: everything that makes a run."""

    container_type: Literal["backtest"] = "backtest"
    name: str = Field(default="", max_length=80, description="label of the run, in no hash")
    mode: Mode = Field(default=Mode.BACKTEST_SINGLE, description="mode of execution")
    thread_model: ThreadModel | None = Field(
        default=None, description="where it runs; default by mode, in no hash"
    )
    isolation_level: IsolationLevel = Field(
        default=IsolationLevel.FULL, description="full, or portfolio: one account for all"
    )
    engine: EngineChoice = Field(default=EngineChoice.AUTO, description="auto, events or compiled")
    seed: int = Field(default=42, ge=0, lt=MAX_SEED, description="seed of everything random")
    stop_on_error: bool = Field(default=True, description="an error of a component ends the run")
    max_errors: int = Field(default=100, ge=1, description="errors that end the run anyway")
    timeout_s: Decimal | None = Field(
        default=None, gt=0, description="seconds after which the run is stopped, in no hash"
    )
    close_positions_at_end: bool = Field(default=True, description="close at the last bar")
    envelope: bool = Field(default=False, description="rerun with every price path (FILL-23)")
    record_events: bool = Field(default=False, description="keep all bus events in the result")
    check_lookahead: bool = Field(default=False, description="run the look-ahead checks too")
    allow_imports: tuple[str, ...] = Field(
        default=(),
        description="modules that own code may be imported from, beside the file or installed",
    )
    data: tuple[DataEntry, ...] = Field(description="bars, one entry per symbol")
    components: Components = Components()
    metrics: MetricsSection = MetricsSection()
    executors: tuple[dict[str, Any], ...] = Field(
        default=(), description="trading executors that start with the run"
    )
    controllers: tuple[dict[str, Any], ...] = Field(
        default=(), description="controllers that create executors"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.data:
            raise ValueError("data: is empty, name at least one file of bars")
        symbols = [entry.symbol for entry in self.data]
        twice = sorted({one for one in symbols if symbols.count(one) > 1})
        if twice:
            raise ValueError(f"data: {', '.join(twice)} appears twice, one entry per symbol")
        for strategy in self.components.all_strategies:
            for symbol in strategy.symbols or ():
                if symbol not in symbols:
                    raise ValueError(
                        f"components.strategy.symbols: {symbol!r} is not in data, there are "
                        f"{', '.join(symbols)}"
                    )
            if any(entry.position_mode is PositionMode.HEDGE for entry in self.data):
                raise ValueError(
                    "data: position_mode HEDGE is for executors and controllers, a strategy holds "
                    "one net position; use ONEWAY"
                )
        if not (self.components.all_strategies or self.executors or self.controllers):
            raise ValueError("nothing to run: give components.strategy, executors or controllers")
        if self.mode in (Mode.LIVE_TRADING, Mode.PAPER_TRADING, Mode.REPLAY):
            raise ValueError(f"mode: {self.mode.value} is no mode of a backtest")
        return self

    @property
    def threads(self) -> ThreadModel:
        """Return the thread model: configured, or the mode's own."""
        return self.thread_model or DEFAULT_THREAD_MODELS[self.mode]


class BacktestDocument(_Section):
    """A whole file."""

    version: Literal[1] = 1
    backtest: BacktestConfig
    profiles: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="overlays by name, shaped like backtest"
    )


def currency_problems(config: BacktestConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with the currencies of the data: (path, text) (UNIT-9)."""
    account = config.components.portfolio.params.currency
    by_symbol = {entry.symbol: entry for entry in config.data}
    for number, entry in enumerate(config.data):
        path: tuple[str | int, ...] = ("data", number, "fx_symbol")
        if entry.fx_symbol is None:
            if entry.currency not in (None, account):
                yield (
                    ("data", number, "currency"),
                    f"{entry.currency!r} is not the account's {account!r}: name fx_symbol",
                )
            continue
        rate = by_symbol.get(entry.fx_symbol)
        if entry.currency == account:
            yield path, f"{entry.fx_symbol!r} is not needed: {account!r} is the account's currency"
        elif rate is None:
            known = ", ".join(one for one in by_symbol if one != entry.symbol)
            yield path, f"{entry.fx_symbol!r} is not in data, there are {known or 'no others'}"
        elif any(one.kind is CorporateActionKind.SPLIT for one in entry.corporate_actions):
            yield (
                ("data", number, "corporate_actions"),
                "a split of a symbol in another currency is not converted: adjust the prices",
            )
        elif rate.fx_symbol is not None or rate.currency not in (None, account):
            own = rate.currency or f"the currency of {rate.fx_symbol}"
            yield path, f"{entry.fx_symbol!r} is quoted in {own!r}, it must be in {account!r}"


def as_config(value: BacktestConfig | Mapping[str, Any]) -> BacktestConfig:
    """Return *value* as a configuration; a mapping may be a whole document or its section.

    Raises:
        pydantic.ValidationError: it does not fit.
    """
    if isinstance(value, BacktestConfig):
        return value
    plain = dict(value)
    if "backtest" in plain:
        return BacktestDocument.model_validate(plain).backtest
    return BacktestConfig.model_validate(plain)


def resolved(config: BacktestConfig, base_dir: Path) -> BacktestConfig:
    """Return *config* with the paths of its data starting from *base_dir*."""
    return config.model_copy(
        update={"data": tuple(_resolved_entry(entry, base_dir) for entry in config.data)}
    )


def _resolved_entry(entry: DataEntry, base_dir: Path) -> DataEntry:
    fine = entry.execution_bars
    changes: dict[str, object] = {"path": str(base_dir / entry.path)}
    if fine is not None:
        changes["execution_bars"] = fine.model_copy(update={"path": str(base_dir / fine.path)})
    return entry.model_copy(update=changes)
