"""Sample: fetches a price over HTTP through the shared pool and compares it with the market."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.agents.samples.local_price_server import LocalPriceServer
from engine.agents.session_agent import SessionAgent
from engine.flow.errors import OperationError

_OK = 200


class HttpPricesParams(BaseModel):
    """What is fetched from where, and how far it may be from the session's own price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector_name: str = Field(description="venue connector of the market to compare with")
    trading_pair: str = Field(pattern="^[^-]+-[^-]+$", description="market, BASE-QUOTE")
    url: str | None = Field(
        default=None,
        pattern="^https?://",
        description="service that answers /price/PAIR; none: one is started on this machine",
    )
    api_name: str = Field(default="prices", description="name of its rate window")
    rate_limit: int = Field(default=30, ge=1, description="most requests in a rate window")
    cache_s: float = Field(default=2.0, ge=0, description="seconds for which an answer is kept")
    max_deviation_pct: Decimal = Field(
        default=Decimal("0.01"), gt=0, description="deviation that raises an alert, a fraction"
    )
    fail_every: int = Field(
        default=9, ge=0, description="the local service answers every so many requests with 503"
    )


class HttpPrices(SessionAgent):
    """One request in a cycle, through cache, rate window and retries of the pool."""

    summary: ClassVar[str] = "fetches a price over HTTP and compares it"
    params_model: ClassVar[type[BaseModel]] = HttpPricesParams
    defaults: ClassVar[Mapping[str, Any]] = {"interval": 5.0, "priority": "low"}

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._server: LocalPriceServer | None = None

    async def _initialize(self) -> None:
        params: HttpPricesParams = self.params
        if params.url is None:
            self._server = LocalPriceServer(self._price, fail_every=params.fail_every)
            await self._server.open()
            self.logger.info("local price service at %s", self._server.url)

    async def _cleanup(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        params: HttpPricesParams = self.params

        async def fetch() -> Decimal:
            return await self._fetch(resource_pool, params)

        key = f"price:{params.api_name}:{params.trading_pair}"
        fetched: Decimal = await resource_pool.cache_get_or_set(key, fetch, params.cache_s)
        market = self.context.picture().market(params.connector_name, params.trading_pair)
        mid = None if market is None else market.mid
        if mid is None:
            return {"note": f"{params.trading_pair} {fetched:f}, no own price"}
        deviation = fetched / mid - 1
        if abs(deviation) > params.max_deviation_pct:
            text = f"{params.trading_pair} is {deviation:+.2%} away from the session's price"
            self.context.raise_alert(text, key="deviation")
        else:
            self.context.clear_alert("deviation")
        return {
            "price": str(fetched),
            "note": f"{params.trading_pair} {fetched:f}, {deviation * 10_000:+.2f} bp off",
        }

    async def _fetch(self, resource_pool: Any, params: HttpPricesParams) -> Decimal:  # noqa: ANN401 (as in BaseAgent)
        base = params.url or ("" if self._server is None else self._server.url)
        status, data = await resource_pool.http_request(
            "GET",
            f"{base.rstrip('/')}/price/{params.trading_pair}",
            api_name=params.api_name,
            rate_limit=params.rate_limit,
        )
        if status != _OK or not isinstance(data, Mapping):
            raise OperationError(f"the price service answered {status}: {str(data)[:80]}")
        try:
            price = Decimal(str(data.get("mid")))
        except InvalidOperation:
            price = Decimal("NaN")
        if not price.is_finite() or price <= 0:
            raise OperationError(f"the price service gave no price: {data.get('mid')!r}")
        return price

    def _price(self, pair: str) -> Mapping[str, object] | None:
        """Return what the local service knows: the session's own quote, as text."""
        picture = self.context.find_picture()
        params: HttpPricesParams = self.params
        market = None if picture is None else picture.market(params.connector_name, pair)
        if market is None or market.mid is None:
            return None
        return {
            "pair": pair,
            "bid": str(market.bid),
            "ask": str(market.ask),
            "mid": f"{market.mid:f}",
        }
