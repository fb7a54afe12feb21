"""Whatever is asked, what passes keeps the limits, and exits always pass whole."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType
from engine.model.quotes import QuoteTick
from engine.risk.limits import LimitMode, RiskSettings, SizeLimit
from engine.risk.risk_manager import RiskManager
from engine.risk.verdicts import Approved

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal("0.1"), min_qty=Decimal("0.3"))
TICKS = 10_000


@dataclass
class World:
    net: int
    working: tuple[int, int]
    equity_atoms: int = 10**12
    open_count: int = 0

    def instrument(self, market: ConnectorPair) -> Instrument:
        return GRID

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        return QuoteTick(MARKET, 0, TICKS, TICKS, 1, 1)

    def net_lots(self, market: ConnectorPair) -> int:
        return self.net

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return max(self.net, 0), max(-self.net, 0)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return 0, 0

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        return self.working


@given(
    net=st.integers(-300, 300),
    working=st.tuples(st.integers(0, 100), st.integers(0, 100)),
    side=st.sampled_from([TradeType.BUY, TradeType.SELL]),
    lots=st.integers(3, 500),
    size=st.integers(1, 30),
    notional=st.integers(1, 3000),
    mode=st.sampled_from(list(LimitMode)),
)
def test_what_passes_keeps_the_limits(
    net: int,
    working: tuple[int, int],
    side: TradeType,
    lots: int,
    size: int,
    notional: int,
    mode: LimitMode,
) -> None:
    world = World(net, working)
    risk = RiskManager(
        settings=RiskSettings(
            max_position_size=SizeLimit(value=Decimal(size), mode=mode),
            max_order_notional=SizeLimit(value=Decimal(notional), mode=mode),
        ),
        markets=world,
        account=world,
        orders=world,
        next_order_id=lambda: "",
    )
    request = OrderRequest(
        "O", MARKET, side, OrderType.MARKET, lots, None, PositionAction.OPEN, 1, "X", "entry"
    )
    verdict = risk.review(request, now_ns=0)
    held = side.sign * net + working[0 if side is TradeType.BUY else 1]
    reducible = max(0, -held)
    if lots <= reducible:
        assert verdict == Approved(request)
        return
    if not isinstance(verdict, Approved):
        return
    granted = verdict.request.lots
    assert GRID.min_lots <= granted <= lots
    assert granted == lots or mode is LimitMode.CLAMP
    opening = max(0, granted - reducible)
    assert GRID.notional_atoms(TICKS, opening) <= notional * 10**8
    assert granted <= reducible or held + granted <= size * 10
