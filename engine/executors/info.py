"""ExecutorInfo: the report of one executor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.plain import JsonValue
from engine.executors.status import CloseType, Lifecycle, RunnableStatus, lifecycle_of
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType

ConfigTypeLookup = Callable[[str], type[ExecutorConfigBase]]
"""Maps a type string to its configuration class."""


@dataclass(frozen=True, slots=True)
class ExecutorInfo:
    """What controllers, reports and the store see of an executor at one instant.

    Money is in quote, ``*_pct`` are fractions, times are seconds since the epoch. ``custom_info``
    holds plain JSON values with Decimals as text.
    """

    id: str
    type: str
    controller_id: str
    timestamp: float
    close_timestamp: float | None
    status: RunnableStatus
    close_type: CloseType | None
    is_active: bool
    is_trading: bool
    net_pnl_pct: Decimal
    net_pnl_quote: Decimal
    cum_fees_quote: Decimal
    filled_amount_quote: Decimal
    config: ExecutorConfigBase
    markets: tuple[ConnectorPair, ...]
    is_handed_over: bool = False
    stale_price: bool = False
    last_error: str = ""
    error_count: int = 0
    custom_info: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the executor is terminated."""
        return self.status is RunnableStatus.TERMINATED

    @property
    def lifecycle(self) -> Lifecycle:
        """Return the label that a person sees."""
        return lifecycle_of(self.status, self.close_type)

    @property
    def side(self) -> TradeType | None:
        """Return the side that ``custom_info`` names."""
        name = self.custom_info.get("side")
        return TradeType[name] if isinstance(name, str) else None

    @property
    def trading_pair(self) -> str:
        """Return the pair; of two-venue executors the maker's or the buying one."""
        return self.markets[0].trading_pair

    @property
    def connector_name(self) -> str:
        """Return the connector; of two-venue executors the maker's or the buying one."""
        return self.markets[0].connector_name

    def to_json(self) -> str:
        """Return a JSON text that ``from_json`` reads back without loss."""
        return json.dumps(
            {
                "id": self.id,
                "type": self.type,
                "controller_id": self.controller_id,
                "timestamp": self.timestamp,
                "close_timestamp": self.close_timestamp,
                "status": self.status.name,
                "close_type": None if self.close_type is None else self.close_type.name,
                "is_active": self.is_active,
                "is_trading": self.is_trading,
                "net_pnl_pct": f"{self.net_pnl_pct:f}",
                "net_pnl_quote": f"{self.net_pnl_quote:f}",
                "cum_fees_quote": f"{self.cum_fees_quote:f}",
                "filled_amount_quote": f"{self.filled_amount_quote:f}",
                "config": self.config.model_dump(mode="json"),
                "markets": [[pair.connector_name, pair.trading_pair] for pair in self.markets],
                "is_handed_over": self.is_handed_over,
                "stale_price": self.stale_price,
                "last_error": self.last_error,
                "error_count": self.error_count,
                "custom_info": dict(self.custom_info),
            }
        )

    @classmethod
    def from_json(cls, text: str, config_type: ConfigTypeLookup | None = None) -> ExecutorInfo:
        """Read what ``to_json`` wrote.

        Args:
            text: the JSON.
            config_type: maps a type string to its configuration; the registered ones if None.

        Raises:
            ValueError: *text* is no such JSON, or the type is unknown.
        """
        lookup: ConfigTypeLookup = config_type or ExecutorFactory.get_config_type
        plain = json.loads(text)
        for name in ("net_pnl_pct", "net_pnl_quote", "cum_fees_quote", "filled_amount_quote"):
            plain[name] = Decimal(plain[name])
        close_type = plain["close_type"]
        plain["status"] = RunnableStatus[plain["status"]]
        plain["close_type"] = None if close_type is None else CloseType[close_type]
        plain["config"] = lookup(plain["type"]).model_validate(plain["config"])
        plain["markets"] = tuple(ConnectorPair(*pair) for pair in plain["markets"])
        return cls(**plain)
