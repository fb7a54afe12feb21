"""The loop of a backtest on the event path (EVT-4), written for speed.

Per instant: what is due before the bars, matching, reports, marks and equity, margin and kill
switch, the end of the session; then the strategies decide, and their signals go through the risk
manager to the broker, which may fill them from the next bar on. Events that nobody hears are
numbered and not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final, TypeAlias

from engine.backtest.control import Progress, RunControl
from engine.backtest.run_events import (
    due_facts,
    due_kind,
    fill_facts,
    is_exit,
    news_facts,
    order_facts,
    position_facts,
    range_problem,
    signal_facts,
)
from engine.backtest.strategy_host import BarStrategyHost, Caller, own_orders
from engine.backtest.strategy_seat import SymbolFeed
from engine.containers.bus import BusKind
from engine.containers.scoped_container import ScopedContainer
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import (
    BarFill,
    BarOrder,
    DueNews,
    OrderNews,
    PositionNews,
)
from engine.markets.timelines import instants_of
from engine.model.bar_view import BarView, reader
from engine.model.timeline import Timeline
from engine.portfolio.bar_account import BarAccount
from engine.risk.bar_risk_manager import BarRiskManager, Verdict
from engine.risk.drawdown import Watch
from engine.strategies.signal_rows import SignalRow, TagIndex, row_of
from engine.strategies.signal_table import NO_PRICE

Facts: TypeAlias = Callable[[], Mapping[str, Any]]
"""Makes the payload of an event; called only if somebody listens."""

NO_DUE: Final = 1 << 62
"""Later than any instant: nothing is due."""
FOREIGN: Final = (Exception, SystemExit)
"""What the code of a strategy may raise; a strategy must not end the process."""
REPORT_EVERY: Final = 1024
"""Most bars between two looks at the clock for the progress."""
_LARGEST: Final = 2**63
"""Samples are kept in 63 bits."""


class BarRun:
    """One pass over the bars of a container; may be run in slices.

    ``finished`` says that nothing is left to do: the data ended, it was cancelled, or the account
    is bankrupt.
    """

    def __init__(
        self,
        *,
        container: ScopedContainer,
        feeds: Sequence[SymbolFeed],
        timeline: Timeline,
        account: BarAccount,
        broker: BarBroker,
        risk: BarRiskManager,
        host: BarStrategyHost,
        control: RunControl,
        has_strict_grid: bool = False,
        fills_this_close: bool = False,
    ) -> None:
        self._container = container
        self._bus = container.bus
        self._clock = container.clock
        self._counters = container.counters
        self._feeds = tuple(feeds)
        self._by_market = {feed.market: feed for feed in feeds}
        self._account = account
        self._broker = broker
        self._risk = risk
        self._host = host
        self._control = control
        self._has_strict_grid = has_strict_grid
        self._fills_this_close = fills_this_close
        self._symbols: Sequence[int] = reader(timeline.symbol)
        bars = timeline.bars
        self._bars: Sequence[int] = bars if isinstance(bars, range) else reader(bars)
        self._timeline = timeline
        self._tags = TagIndex()
        self._position = 0
        self._silent = 0
        self._counted = 0
        self._stride = 1
        self._bar_seq = -1
        self._signal_seq = -1
        self._fill_seq = -1
        self._order_seqs: dict[int, int] = {}
        """ORDER event by the identity of its order, which the broker keeps."""
        self._instant_ns = 0
        self._is_closing = False
        self._has_fine_bars = any(feed.is_fine for feed in feeds)
        self._has_slices = False
        self._hear: Callable[[int, object], None] | None = None
        self.total = len(self._bars)
        self.finished = not self.total
        self.is_loud = False

    @property
    def feeds(self) -> tuple[SymbolFeed, ...]:
        """Return the symbols of the run."""
        return self._feeds

    def listen(self, hear: Callable[[int, object], None]) -> None:
        """Call *hear* with the bar and each signal, or row of a table, as it is given."""
        self._hear = hear

    def begin(self) -> None:
        """Arrange who hears what; called when the container has started."""
        self.is_loud = self._bus.subscription_count > 0
        host = self._host
        self._has_slices = len(self._feeds) > 1 or bool(host.sees_slices)
        self._broker.tells_all = self.is_loud
        self._broker.listening = bool(
            self.is_loud or host.hears_fills or host.hears_orders or self._risk.needs_fills
        )
        self._control.restart_clock()

    def finish(self, *, close_positions: bool = True) -> None:
        """End the run at its last bar: close what is open, unless told otherwise (PF-15)."""
        if not self._position:
            return
        now_ns = self._instant_ns = self.last_ns()
        self._clock.advance_to(now_ns)
        self._broker.finish(close_positions=close_positions, now_ns=now_ns)
        if self._broker.news:
            self._is_closing = True
            self._give_news(self._position)
        self._sync_counters()
        self._count_events()

    def broken_off(self) -> None:
        """Count the bars that were marked before the strategy was interrupted in one of them."""
        if len(self._feeds) == 1:
            self._position = max(self._position, min(self.total, self._broker.sample_count))
        self._host.outbox.clear()
        self._sync_counters()
        self._count_events()

    def last_ns(self) -> int:
        """Return the end of the last bar that was run, 0 before the first."""
        if not self._position:
            return 0
        symbol, bar = self._symbols[self._position - 1], self._bars[self._position - 1]
        return self._feeds[symbol].ts_close[bar]

    @property
    def done(self) -> int:
        """Return how many bars have been run."""
        return self._position

    def run(self, limit: int | None = None) -> bool:
        """Run at most *limit* further bars (or instants); return whether it is finished.

        Raises:
            ComponentFailedError: a component raised and the policy says stop (EVT-6).
        """
        if self.finished:
            return True
        is_simple = (
            len(self._feeds) == 1
            and not self._has_fine_bars
            and not self.is_loud
            and not self._host.sees_slices
            and not self._fills_this_close
            and not self._risk.needs_sessions
            and len(self._host.callers[0]) == 1
        )
        if is_simple:
            self._run_single(limit)
        else:
            self._run_instants(limit)
        self._sync_counters()
        was_finished = self.finished
        self.finished = (
            self._position >= self.total or self._control.is_cancelled or self._broker.is_bankrupt
        )
        if self.finished and not was_finished:
            self._count_events()
        return self.finished

    # --- one symbol, one strategy, nobody listens ------------------------------------------------

    def _run_single(self, limit: int | None) -> None:  # noqa: C901 (the hot loop: a call costs more than a branch)
        feed, broker, account = self._feeds[0], self._broker, self._account
        book, lists, cursor = broker.books[0], feed.lists, feed.cursor
        caller = self._host.callers[0][0]
        first, on_bar, rows = caller.first, caller.on_bar, caller.rows
        watch, outbox, control = self._risk.watch, self._host.outbox, self._control
        ends: Sequence[bool] = reader(feed.columns.ends_session)
        ts_open, ts_close = lists.ts_open, lists.ts_close
        mark_one, match_one = broker.mark_one, broker.match_one
        tests_path, tests_margin = account.settings.intrabar_margin, account.is_margin
        scale = book.position.scale
        offset = self._bars[0]
        start = offset + self._position
        stop = offset + self.total if limit is None else min(offset + self.total, start + limit)
        position, close, samples = book.position, lists.close, broker.samples
        due_ns = broker.due_ns
        report_at = start
        index = start
        for index in range(start, stop):
            if control.is_cancelled or broker.is_bankrupt:
                break
            if due_ns < NO_DUE and ts_open[index] >= due_ns:
                broker.before(((0, index),))
                due_ns = broker.due_ns
            if book.orders or tests_path:
                self._instant_ns = ts_close[index]
                match_one(0, index)
                if broker.news:
                    self._give_news(index + 1 - offset)
                    due_ns = broker.due_ns
            # What `mark_one` does where nothing has to be looked at: a call costs more than that.
            equity, lots, price = account.equity, position.lots, close[index]
            if lots:
                equity = 0 if tests_margin else equity + lots * (price - position.mark) * scale
            if 0 < equity < _LARGEST and samples:
                account.equity = equity
                book.cursor = index + 1
                position.mark = price
                samples.append(equity)
            else:
                mark_one(0, index)
            if watch is not None:
                self._watch(watch.observe(account.equity), ts_close[index], index)
            if book.orders and ends[index]:
                self._instant_ns = ts_close[index]
                broker.expire_day_one(0, index)
                if broker.news:
                    self._give_news(index + 1 - offset)
            cursor.index = index
            if index >= first:
                if rows is None:
                    try:
                        on_bar(BarView(lists, index))
                    except FOREIGN as error:
                        self._strategy_failed(error, index + 1 - offset, "on_bar")
                    if outbox:
                        self._instant_ns = ts_close[index]
                        self._take_signals(index + 1 - offset)
                        due_ns = broker.due_ns
                elif index in rows:
                    self._instant_ns = ts_close[index]
                    self._take_rows(caller, rows[index], index + 1 - offset)
                    due_ns = broker.due_ns
            if index >= report_at:
                report_at = index + self._report(index + 1 - offset, ts_close[index])
        else:
            index = stop
        self._position = index - offset

    # --- the general case ------------------------------------------------------------------------

    @cached_property
    def _instants(self) -> Sequence[int]:
        """Where each instant starts; a run of one symbol or on the compiled path never asks."""
        timeline = self._timeline
        if timeline.is_one_by_one:
            return range(len(timeline) + 1)
        found: Sequence[int] = reader(instants_of(timeline))
        return found

    def _run_instants(self, limit: int | None) -> None:
        position, instants = self._position, self._instants
        number = _instant_at(instants, position)
        last = len(instants) - 1
        until = last if limit is None else min(last, number + limit)
        report_at = position
        while number < until:
            if self._control.is_cancelled or self._broker.is_bankrupt:
                break
            start, stop = instants[number], instants[number + 1]
            pairs = [(self._symbols[one], self._bars[one]) for one in range(start, stop)]
            self._instant(pairs, stop)
            self._position = stop
            number += 1
            if stop >= report_at:
                symbol, bar = pairs[-1]
                report_at = stop + self._report(stop, self._feeds[symbol].ts_close[bar])

    def _instant(self, pairs: list[tuple[int, int]], done: int) -> None:
        broker, feeds = self._broker, self._feeds
        self._match(pairs, done)
        seen = self._seen_bars(pairs) if self._has_fine_bars else pairs
        for one, index in seen:
            feeds[one].cursor.index = index
        if self.is_loud:
            self._publish_and_call(pairs, dict(seen), done)
        else:
            for one, index in seen:
                self._call(one, index, done)
        if seen and self._has_slices:
            self._slice(seen, done)
        if self._fills_this_close:
            broker.fill_this_close(pairs)
            if broker.news:
                self._give_news(done)

    def _seen_bars(self, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the strategies' bars that end now: none while a coarse bar forms (TIME-4)."""
        seen = []
        for symbol, _ in pairs:
            feed = self._feeds[symbol]
            known = feed.columns.closes_by(self._instant_ns) - 1
            if known > feed.cursor.index and known >= 0:
                seen.append((symbol, known))
        return seen

    def _match(self, pairs: list[tuple[int, int]], done: int) -> None:
        """Do EVT-4 (a) to (d) of one instant."""
        broker, feeds = self._broker, self._feeds
        symbol, bar = pairs[0]
        ts_close = self._instant_ns = feeds[symbol].ts_close[bar]
        if self._risk.needs_sessions and any(
            feeds[one].run.starts_session[index] for one, index in pairs
        ):
            self._session_started(ts_close)
        broker.before(pairs)
        broker.match(pairs)
        if broker.news:
            self._give_news(done)
        broker.mark(pairs)
        if self.is_loud:
            self._clock.advance_to(ts_close)
            equity = self._account.equity
            self._tell(BusKind.EQUITY, lambda: {"equity_atoms": equity}, None)
        self._counters.bar_index = bar
        if self._risk.watch is not None:
            self._watch(self._risk.observe(self._account.equity), ts_close, bar)
        broker.expire_day(pairs)
        if broker.news:
            self._give_news(done)

    def _call(self, symbol: int, index: int, done: int) -> None:
        for caller in self._host.callers[symbol]:
            if index < caller.first:
                continue
            if caller.rows is not None:
                if index in caller.rows:
                    self._take_rows(caller, caller.rows[index], done)
                continue
            try:
                caller.on_bar(BarView(caller.feed.lists, index))
            except FOREIGN as error:
                self._strategy_failed(error, done, "on_bar")
            if self._host.outbox:
                self._take_signals(done)

    def _slice(self, pairs: list[tuple[int, int]], done: int) -> None:
        if self.is_loud:
            self._bar_seq = self._tell(
                BusKind.SLICE,
                lambda: {"bars": {self._feeds[one].columns.symbol: bar for one, bar in pairs}},
                None,
            )
        else:
            self._silent += 1
        if not self._host.sees_slices:
            return
        bars = {one: BarView(self._feeds[one].lists, index) for one, index in pairs}
        try:
            self._host.give_slice(bars)
        except FOREIGN as error:
            self._strategy_failed(error, done, "on_slice")
        if self._host.outbox:
            self._take_signals(done)

    # --- signals to orders -----------------------------------------------------------------------

    def _take_signals(self, done: int) -> None:
        """Turn what the strategies said into orders, in the order in which they said it."""
        outbox = self._host.outbox
        taken = outbox[:]
        outbox.clear()
        if self._is_closing:
            return  # nothing is ordered after the last bar
        for number, signal in taken:
            feed = self._by_market.get(signal.market)
            if self._hear is not None:
                self._hear(-1 if feed is None else feed.cursor.index, signal)
            if feed is None or feed.cursor.index < 0:
                self._counters.signals += 1
                self._risk.rejections["UNKNOWN_SYMBOL"] += 1
                continue
            row = row_of(
                signal,
                instrument=feed.columns.instrument,
                bar=feed.cursor.index,
                tags=self._tags,
            )
            self._take_row(number, feed, row, signal.tag, signal.cancel, signal.replace, done)

    def _take_rows(self, caller: Caller, rows: list[tuple[SignalRow, str]], done: int) -> None:
        for row, tag in rows:
            if self._hear is not None:
                self._hear(row.bar, row)
            self._take_row(caller.number, caller.feed, row, tag, "", "", done)

    def _take_row(
        self,
        number: int,
        feed: SymbolFeed,
        row: SignalRow,
        tag: str,
        cancel: str,
        replace: str,
        done: int,
    ) -> None:
        index = feed.cursor.index
        now_ns = self._instant_ns
        self._clock.advance_to(now_ns)
        self._counters.signals += 1
        if self.is_loud:
            self._signal_seq = self._tell(
                BusKind.SIGNAL, partial(signal_facts, row, tag), feed.index, cause=self._bar_seq
            )
        else:
            self._silent += 1
        owner = self._host.seated[number].id
        if cancel or replace:
            self._change(feed.index, owner, row, cancel, replace, now_ns)
            return
        problem = range_problem(row)
        if problem:
            self._refused(Verdict(None, problem), feed.index)
            self._risk.rejections[problem] += 1
            return
        verdict = self._risk.on_signal(feed.index, index, row, now_ns=now_ns, tag=tag, owner=owner)
        if verdict.cancels_entries:
            self._broker.cancel_all(now_ns=now_ns, symbol=feed.index, keep=is_exit)
        if verdict.reason or verdict.note:
            self._refused(verdict, feed.index)
        if verdict.order is not None:
            verdict.order.is_off_grid = self._has_strict_grid and bool(row.off_grid)
            self._submit(verdict.order, now_ns)
        if self._broker.news:
            self._give_news(done)

    def _submit(self, order: BarOrder, now_ns: int) -> None:
        self._counters.orders += 1
        if self.is_loud:
            seq = self._tell(
                BusKind.ORDER, partial(order_facts, order), order.symbol, cause=self._signal_seq
            )
            self._order_seqs[id(order)] = seq
        else:
            self._silent += 1
        self._broker.submit(order, now_ns=now_ns)

    def _change(
        self, symbol: int, owner: str, row: SignalRow, cancel: str, replace: str, now_ns: int
    ) -> None:
        """Cancel or replace the strategy's own orders by their tag."""
        kind = BusKind.CANCEL if cancel else BusKind.REPLACE
        for order in own_orders(self._broker, symbol, owner, cancel or replace):
            if self.is_loud:
                self._tell(
                    kind,
                    partial(order_facts, order),
                    symbol,
                    cause=self._signal_seq,
                )
            else:
                self._silent += 1
            if cancel:
                self._broker.cancel(order, now_ns=now_ns)
            else:
                self._broker.replace(
                    order,
                    now_ns=now_ns,
                    lots=row.value if row.value > 0 else None,
                    limit=None if row.limit == NO_PRICE else row.limit,
                    stop=None if row.stop == NO_PRICE else row.stop,
                )

    def _refused(self, verdict: Verdict, symbol: int) -> None:
        if self.is_loud:
            self._tell(
                BusKind.RISK_LIMIT,
                lambda: {"reason": verdict.reason, "note": verdict.note},
                symbol,
                cause=self._signal_seq,
            )
        else:
            self._silent += 1

    # --- what the broker says --------------------------------------------------------------------

    def _give_news(self, done: int) -> None:
        """Pass fills and changes of orders on, in match order."""
        broker, host = self._broker, self._host
        while broker.news:
            news = broker.news[:]
            broker.news.clear()
            for item in news:
                self._clock.advance_to(item.ts)
                if isinstance(item, PositionNews):
                    self._tell(
                        BusKind.POSITION,
                        partial(position_facts, item),
                        item.symbol,
                        cause=self._fill_seq,
                    )
                    continue
                if isinstance(item, DueNews):
                    self._tell(due_kind(item), partial(due_facts, item), item.symbol)
                    continue
                if isinstance(item, BarFill):
                    if self._risk.needs_fills:
                        self._risk.on_fill(item)
                    if self.is_loud:
                        self._fill_seq = self._tell(
                            BusKind.FILL,
                            partial(fill_facts, item),
                            item.symbol,
                            cause=self._cause_of(item.order),
                        )
                elif self.is_loud:
                    symbol = max(0, item.order.symbol)
                    self._tell(
                        BusKind.ORDER_UPDATE,
                        partial(news_facts, item),
                        symbol,
                        cause=self._cause_of(item.order),
                    )
                self._hook(item, done)
            if host.outbox:
                self._take_signals(done)

    def _hook(self, item: BarFill | OrderNews, done: int) -> None:
        """Let the owner see a fill or a change of an order, if it wants to."""
        host = self._host
        is_fill = isinstance(item, BarFill)
        if not (host.hears_fills if is_fill else host.hears_orders):
            return
        try:
            if isinstance(item, BarFill):
                host.give_fill(item)
            else:
                host.give_order(item)
        except FOREIGN as error:
            self._strategy_failed(error, done, "on_fill" if is_fill else "on_order")

    # --- drawdown, sessions ----------------------------------------------------------------------

    def _watch(self, change: Watch, now_ns: int, bar: int) -> None:
        if change is Watch.NOTHING:
            return
        self._clock.advance_to(now_ns)
        watch = self._risk.watch
        if self.is_loud:
            self._tell(BusKind.DRAWDOWN, lambda: {"change": change.name, "bar": bar}, 0)
        else:
            self._silent += 1
        if change is not Watch.HALTED or watch is None:
            return
        self._counters.bar_index = bar
        self._container.context.log("warning", "trading is halted: max_drawdown reached")
        self._broker.cancel_all(now_ns=now_ns, reason="RISK_HALT", keep=is_exit)
        if watch.flattens:
            self._flatten(now_ns)

    def _flatten(self, now_ns: int) -> None:
        """Close every position at the next bar, reduce-only."""
        for symbol, position in enumerate(self._account.positions):
            if position.lots:
                order = BarOrder(
                    symbol,
                    -1 if position.lots > 0 else 1,
                    0,
                    abs(position.lots),
                    reduce_only=True,
                    role="exit",
                    tag="RISK_HALT",
                )
                self._submit(order, now_ns)

    def _session_started(self, now_ns: int) -> None:
        self._clock.advance_to(now_ns)
        self._risk.session_started()

    # --- events ----------------------------------------------------------------------------------

    def _tell(self, kind: BusKind, facts: Facts, symbol: int | None, *, cause: int = -1) -> int:
        """Make an event that somebody hears, caused by the event *cause*; return its seq."""
        self._bus.begin(cause)
        market = None if symbol is None else self._feeds[symbol].market
        event = self._bus.publish(kind, facts(), market=market)
        self._bus.drain()
        return event.seq

    def _cause_of(self, order: BarOrder) -> int:
        """Return the ORDER event of *order*, for a bracket's exits that of their entry."""
        owner = order if order.parent is None else order.parent
        return self._order_seqs.get(id(owner), -1)

    def _count_events(self) -> None:
        """Number the events that nobody heard, as if they had been published.

        BAR of each bar, EQUITY of each instant, FILL and POSITION of each fill, what fell due,
        changes of orders; signals, orders, refusals and the like are counted as they come.
        """
        if self.is_loud:
            return
        broker = self._broker
        total = self._position + self._instants_done() + self._silent
        total += 2 * broker.fill_count + broker.dues_settled + broker.order_updates
        self._bus.count(max(0, total - self._counted))
        self._counted = max(self._counted, total)

    def _instants_done(self) -> int:
        """Return how many instants have begun, the current one with them."""
        return _instant_at(self._instants, self._position) if self._position else 0

    def _publish_and_call(
        self, pairs: list[tuple[int, int]], seen: dict[int, int], done: int
    ) -> None:
        """Publish each symbol's BAR and let its strategies answer before the next (TIME-2)."""
        for symbol, bar in pairs:
            self._bar_seq = self._tell(BusKind.BAR, partial(_bar_facts, bar, symbol), symbol)
            if symbol in seen:
                self._call(symbol, seen[symbol], done)

    def _strategy_failed(self, error: BaseException, done: int, hook: str) -> None:
        """Count what a strategy raised, or end the run (EVT-6)."""
        self._position = max(self._position, done)
        self._count_events()
        self._bus.record_error(
            error,
            component=f"strategy.{hook}",
            seq=self._bus.events_published - 1,
            kind=BusKind.BAR,
        )
        self._bus.drain()
        self._container.tell_health()
        self._host.outbox.clear()

    def _report(self, done: int, now_ns: int) -> int:
        """Tell how far the run is, if it is time; return how many bars later to look again.

        Every bar for a strategy that takes its time, seldom for one that does not.
        """
        if not self._control.is_due:
            self._stride = min(REPORT_EVERY, 2 * self._stride)
            return self._stride
        self._stride = max(1, self._stride // 2)
        self._position = done
        self._count_events()
        self._control.report(
            bars_done=done,
            bars_total=self.total,
            now_ns=now_ns,
            equity_atoms=self._account.equity,
            fills=self._broker.fill_count,
            events=self._bus.events_published,
            errors=self._bus.error_count,
        )
        return self._stride

    def _sync_counters(self) -> None:
        self._counters.bars = self._position
        self._counters.fills = self._broker.fill_count

    def last_progress(self, status: str) -> Progress:
        """Return where the run ended."""
        return Progress(
            self._position,
            self.total,
            self.last_ns(),
            self._account.equity,
            self._broker.fill_count,
            self._control.elapsed_s(),
            status,
            self._bus.events_published,
            self._bus.error_count,
        )


def _bar_facts(bar: int, symbol: int) -> dict[str, int]:
    return {"bar": bar, "symbol": symbol}


def _instant_at(instants: Sequence[int], position: int) -> int:
    """Return the number of the instant that starts at *position*."""
    low, high = 0, len(instants) - 1
    while low < high:
        middle = (low + high) // 2
        if instants[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low
