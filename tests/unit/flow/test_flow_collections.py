"""Progressions, piles and flows."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from engine import flow
from engine.flow.progression import Progression

A, B, C, D = (UUID(int=n) for n in range(1, 5))


class Item(flow.Element):
    number: int = 0


class Rich(flow.Element):
    flag: bool = False
    number: int = 0
    limit: float | None = 5
    text: str = ""
    tags: list[int] = []  # noqa: RUF012 (a field default, copied for each instance)
    pair: tuple[int, str] = (1, "a")
    table: dict[UUID, float] = {}  # noqa: RUF012 (likewise)
    side: Literal["buy", "sell"] = "buy"
    owner: UUID = A
    anything: Any = None
    unknown: NoSuchType = None  # type: ignore[name-defined]  # noqa: F821 (cannot be resolved)


class Special(Item):
    pass


class Other(flow.Element):
    pass


# --- progressions ------------------------------------------------------------------------------


def test_an_order_is_given_in_many_forms() -> None:
    item = Item()
    assert Progression().order == []
    assert Progression(A).order == [A]
    assert Progression(str(A)).order == [A]
    assert Progression(item).order == [item.id]
    assert Progression(Progression([A, B])).order == [A, B]
    parts: list[UUID | str | flow.Element] = [A, str(B), item, A]
    mixed = Progression(iter(parts), name="p")
    assert mixed.order == list(mixed) == [A, B, item.id, A]
    assert list(reversed(mixed)) == [A, item.id, B, A]
    with pytest.raises(ValueError):  # noqa: PT011 (the class is the rule)
        Progression(["x"])
    with pytest.raises(TypeError):
        Progression([1])  # type: ignore[list-item]  # refused


def test_len_truth_membership_and_repr() -> None:
    p = Progression([A, B], name="pending")
    assert (len(p), bool(p), bool(Progression())) == (2, True, False)
    assert repr(p) == "Progression(len=2 name='pending')"
    assert repr(Progression([A])) == "Progression(len=1)"
    assert A in p
    assert str(A) in p
    strange: list[object] = [C, "x", None, 1, [], {}]
    for rubbish in strange:
        assert rubbish not in p


@pytest.mark.parametrize("start", [[A, B, C], [A, B, C, A]], ids=["unique", "duplicates"])
def test_a_progression_changes_as_a_list_does(start: list[UUID]) -> None:
    steps: list[Callable[[Any], object]] = [
        lambda s: s.append(D),
        lambda s: s.insert(1, D),
        lambda s: s.insert(-1, D),
        lambda s: s.extend([C, D]),
        lambda s: s.extend([]),
        lambda s: s.remove(A),
        lambda s: s.pop(),
        lambda s: s.pop(0),
        lambda s: s.pop(-2),
        lambda s: s.reverse(),
        lambda s: s.clear(),
        lambda s: s.__setitem__(1, D),
        lambda s: s.__setitem__(slice(0, 2), [D]),
        lambda s: s.__setitem__(slice(0, 2), []),
    ]
    for number, step in enumerate(steps):
        ours, model = Progression(start), list(start)
        step(ours)
        step(model)
        assert ours.order == model, number
        assert len(ours) == len(model)
        assert all(one in ours for one in model)
        assert ours[:] == model
    p = Progression(start)
    assert [p[0], p[-1], p[1:]] == [start[0], start[-1], start[1:]]
    assert p.index(B) == 1


def test_what_is_absent_or_out_of_range_raises() -> None:
    p = Progression([A, B, C])
    for absent in (D, "x", 5):
        with pytest.raises(ValueError):  # noqa: PT011 (the class is the rule)
            p.remove(absent)  # type: ignore[arg-type]  # 5 is refused
        with pytest.raises(ValueError):  # noqa: PT011 (the class is the rule)
            p.index(absent)  # type: ignore[arg-type]  # 5 is refused
    with pytest.raises(IndexError):
        p[3]
    with pytest.raises(flow.NotFoundError, match="not found"):
        p.pop(3)
    assert p.pop(3, None) is None
    with pytest.raises(flow.NotFoundError, match="empty"):
        Progression().popleft()
    for frm, to in ((0, 9), (-4, 0), (3, 0), (0, 3)):
        with pytest.raises(flow.NotFoundError):
            p.move(frm, to)
        with pytest.raises(flow.NotFoundError):
            p.swap(frm, to)
    with pytest.raises(TypeError, match="expected list"):
        p[0:1] = (A,)
    assert p.order == [A, B, C]


def test_include_and_exclude_are_idempotent() -> None:
    p = Progression()
    assert [p.include(A), p.include(A), p.exclude(A), p.exclude(A)] == [True, False, True, False]
    twice = Progression([A, B, A])
    assert twice.exclude(A)
    assert twice.order == [B]
    assert not twice.exclude("rubbish")


def test_move_swap_and_popleft() -> None:
    def moved(frm: int, to: int) -> list[UUID]:
        p = Progression([A, B, C])
        p.move(frm, to)
        return p.order

    assert moved(0, 2) == [B, A, C]
    assert moved(2, 0) == [C, A, B]
    assert moved(-1, 0) == [C, A, B]
    assert moved(0, -1) == [B, A, C]
    assert moved(1, 1) == [A, B, C]
    p = Progression([A, B, C])
    p.swap(0, -1)
    assert p.order == [C, B, A]
    assert [p.popleft(), p.popleft(), p.popleft()] == [C, B, A]
    twice = Progression([A, A])
    assert [twice.popleft(), twice.order] == [A, [A]]


def test_a_progression_comes_back_from_its_dict() -> None:
    p = Progression([A, B, A], name="p", metadata={"k": 1})
    for mode in ("python", "json"):
        copy = Progression.from_dict(p.to_dict(mode))
        assert (copy.id, copy.name, copy.order, copy.metadata) == (p.id, "p", p.order, {"k": 1})
    for change in ({"order": None}, {"order": ["x"]}, {"name": 1}):
        with pytest.raises(flow.ValidationError):
            Progression.from_dict({**p.to_dict(), **change})


# --- piles -------------------------------------------------------------------------------------


def test_a_pile_keeps_elements_by_id_in_order() -> None:
    items = [Item(number=n) for n in range(3)]
    pile = flow.Pile(items)
    assert (len(pile), bool(pile), pile.is_empty(), repr(pile)) == (3, True, False, "Pile(len=3)")
    assert list(pile) == items
    assert list(pile.keys()) == pile.progression.order == [one.id for one in items]
    assert list(pile.items()) == [(one.id, one) for one in items]
    assert pile._items == dict(pile.items())
    assert pile._progression.order == pile.progression.order
    assert items[0] in pile
    assert str(items[0].id) in pile
    assert "rubbish" not in pile
    assert None not in pile
    pile.clear()
    assert pile.is_empty()
    assert len(flow.Pile(items[0])) == 1


def test_the_given_order_overrides_the_insertion() -> None:
    items = [Item() for _ in range(3)]
    pile = flow.Pile(items, order=[items[2].id, items[0]])
    assert list(pile) == [items[2], items[0], items[1]]
    assert next(iter(flow.Pile(items, order=Progression(items[::-1])))) == items[2]
    with pytest.raises(flow.NotFoundError):
        flow.Pile(items, order=[uuid4()])


def test_adding_and_removing_keep_ids_unique() -> None:
    item, twin = Item(), Item()
    pile: flow.Pile[Item] = flow.Pile()
    pile.add(item)
    with pytest.raises(flow.ExistsError, match="already exists"):
        pile.add(item)
    assert pile.remove(item.id) is item
    attempts: list[Callable[[Item], object]] = [pile.remove, pile.pop, pile.get]
    for attempt in attempts:
        with pytest.raises(flow.NotFoundError, match="not found") as caught:
            attempt(item)
        assert "KeyError" not in "".join(traceback.format_exception(caught.value))
    assert pile.pop(item, None) is pile.get(item, None) is None
    assert [pile.include(item), pile.include(item), len(pile)] == [True, True, 1]
    assert [pile.exclude(item), pile.exclude(item), pile.exclude("x")] == [True, True, False]
    pile.add(twin)
    replacement = Item(id=twin.id, number=9)
    pile.update(replacement)
    assert pile.get(twin) is replacement
    assert pile.pop(twin) is replacement
    with pytest.raises(flow.NotFoundError):
        pile.update(item)


def test_the_type_rule_holds_at_every_entry() -> None:
    loose: flow.Pile[Any] = flow.Pile(item_type=Item)
    strict: flow.Pile[Any] = flow.Pile(item_type=[Item], strict_type=True)
    loose.add(Special())
    with pytest.raises(TypeError, match="not a subclass"):
        loose.add(Other())
    for _ in range(2):
        with pytest.raises(TypeError, match="strict_type=True"):
            strict.add(Special())
    assert not strict.include(Special())
    with pytest.raises(TypeError):
        strict.update(Special())
    for refused in (1, "x", None):
        with pytest.raises(TypeError):
            flow.Pile([refused])  # type: ignore[type-var]  # refused
    assert flow.Pile(item_type=Item | Other).item_type == {Item, Other}
    assert flow.Pile(item_type={Item}).item_type == {Item}
    with pytest.raises(TypeError):
        flow.Pile(item_type=int)  # type: ignore[arg-type]  # refused
    with pytest.raises(TypeError):
        flow.Pile(item_type=[])


def test_keys_select_items_or_new_piles() -> None:
    items = [Item(number=n) for n in range(4)]
    pile = flow.Pile(items, item_type=Item)
    first = items[0]
    assert pile[first.id] is pile[str(first.id)] is pile[0] is pile[-4] is first
    selections: list[tuple[Any, list[Item]]] = [
        (slice(1, 3), items[1:3]),
        ([3, 0], [items[3], items[0]]),
        ((items[2].id, str(first.id)), [items[2], first]),
        (Progression([items[2], first]), [items[2], first]),
        (lambda item: item.number > 1, items[2:]),
    ]
    for key, expected in selections:
        found = pile[key]
        assert list(found) == expected
        assert found.item_type == {Item}
    refusals: list[tuple[Any, type[Exception], str]] = [
        ([], ValueError, "empty list/tuple"),
        ([0, first.id], TypeError, "Cannot mix int and UUID"),
        ([1.5], TypeError, "ints or ids"),
        (1.5, TypeError, "Invalid key type"),
        (True, TypeError, "Invalid key type"),
        ([True], TypeError, "Invalid key type"),
        ((0, False), TypeError, "Invalid key type"),
        (Progression([A]), flow.NotFoundError, "not found"),
        ([A], flow.NotFoundError, "not found"),
        (A, flow.NotFoundError, "not found"),
        (9, IndexError, "range"),
    ]
    for bad, error, text in refusals:
        with pytest.raises(error, match=text):
            pile[bad]


def test_filter_by_type() -> None:
    item, special = Item(), Special()
    pile = flow.Pile([item, special], item_type=Item)
    assert list(pile.filter_by_type(Special)) == [special]
    assert len(pile.filter_by_type([Item])) == 2
    with pytest.raises(TypeError, match="not compatible"):
        pile.filter_by_type(Other)
    strict: flow.Pile[Any] = flow.Pile(item, item_type=[Item, Special], strict_type=True)
    with pytest.raises(TypeError, match="not allowed in pile"):
        strict.filter_by_type(Other)
    with pytest.raises(flow.NotFoundError):
        strict.filter_by_type(Special)
    assert list(flow.Pile[Any]([item, special]).filter_by_type(Special)) == [special]


def test_to_dict_lists_items_in_order() -> None:
    item = Item(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    python, plain = flow.Pile(item).to_dict(), flow.Pile(item).to_dict("json")
    assert python["items"] == [item.to_dict()]
    assert json.loads(json.dumps(plain))["items"][0]["id"] == str(item.id)


def test_a_loop_sees_a_snapshot_and_threads_do_not_disturb() -> None:
    pile = flow.Pile([Item() for _ in range(50)])
    for item in pile:
        pile.remove(item)
        pile.add(Item())
    failures: list[BaseException] = []
    shared = Item()

    def churn() -> None:
        try:
            for _ in range(200):
                item = Item()
                pile.add(item)
                list(pile)
                pile.include(shared)
                pile.remove(item)
        except BaseException as exc:  # noqa: BLE001 (reported by the test)
            failures.append(exc)

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(pile) == 51


@pytest.mark.anyio
async def test_the_async_lock_is_separate_fair_and_survives_cancellation() -> None:
    pile: flow.Pile[Item] = flow.Pile()
    order: list[int] = []

    async def enter(number: int) -> None:
        async with pile:
            pile.add(Item())
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        async with pile:
            tasks = [group.create_task(enter(n)) for n in range(4)]
            await asyncio.sleep(0)
            tasks[0].cancel()
        tasks[1].cancel()
    assert order == [2, 3]
    assert not pile.async_lock.is_held


# --- flows -------------------------------------------------------------------------------------


def test_progressions_refer_to_items_only() -> None:
    item = Item()
    with pytest.raises(flow.NotFoundError, match="not in items pile"):
        flow.Flow(progressions=[Progression([item])])
    work = flow.Flow(item, Progression([item], name="a"), name="x")
    assert repr(work) == "Flow(items=1, progressions=1, name='x')"
    assert repr(flow.Flow()) == "Flow(items=0, progressions=0)"
    with pytest.raises(flow.NotFoundError, match="not in items pile"):
        work.add_progression(Progression([A], name="b"))
    assert len(work.progressions) == 1
    pile = flow.Pile([item])
    assert flow.Flow(pile).items is pile


def test_names_are_unique_and_free_again_after_removal() -> None:
    work: flow.Flow[Item] = flow.Flow()
    for _ in range(2):
        work.add_progression(Progression())
    named = Progression(name="a")
    work.add_progression(named)
    with pytest.raises(flow.ExistsError, match="already exists"):
        work.add_progression(Progression(name="a"))
    assert work._progression_names == {"a": named.id}
    for key in ("a", named.id, str(named.id), named):
        assert work.get_progression(key) is named
    for unknown in ("b", A, str(A), Progression()):
        with pytest.raises(KeyError, match=r"Progression '.*' not found"):
            work.get_progression(unknown)
    assert work.remove_progression("a") is named
    with pytest.raises(flow.NotFoundError, match=f"Progression {named.id} not found in flow") as e:
        work.remove_progression(named.id)
    assert e.value.__cause__ is not None
    with pytest.raises(flow.NotFoundError, match="not found in flow"):
        work.remove_progression(named)
    work.add_progression(Progression(name="a"))


def test_of_twenty_threads_one_gets_the_name() -> None:
    work: flow.Flow[Item] = flow.Flow()
    results: list[bool] = []

    def race() -> None:
        try:
            work.add_progression(Progression(name="a"))
        except flow.ExistsError:
            results.append(False)
        else:
            results.append(True)

    threads = [threading.Thread(target=race) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(True) == 1


def test_items_come_and_go_atomically() -> None:
    work: flow.Flow[Item] = flow.Flow(progressions=[Progression(name=n) for n in "ab"])
    item = Item()
    with pytest.raises(KeyError):
        work.add_item(item, ["a", "nonsense"])
    assert item not in work.items
    assert item not in work.get_progression("a")
    work.add_item(item, ["a", "b"])
    with pytest.raises(flow.ExistsError):
        work.add_item(item)
    assert work.remove_item(item.id) is item
    assert all(item not in p for p in work.progressions)
    with pytest.raises(flow.NotFoundError, match="not found"):
        work.remove_item(item)
    work.add_item(item, "a")
    assert item in work.get_progression("a")


def test_a_flow_comes_back_from_its_snapshot() -> None:
    items = [Item(number=n) for n in range(3)]
    work = flow.Flow(items, [Progression(items[::-1], name="a"), Progression()], name="x")
    for mode in ("python", "json"):
        data = work.to_dict(mode)
        if mode == "json":
            data = json.loads(json.dumps(data))
        copy: flow.Flow[Item] = flow.Flow.from_dict(data, item_type=Item)
        assert copy.name == "x"
        assert [one.number for one in copy.items] == [0, 1, 2]
        assert copy.get_progression("a").order == [one.id for one in items[::-1]]
        assert copy.to_dict("json") == work.to_dict("json")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "version 2 cannot be read"),
        ({"version": None}, "version None"),
        ({"name": 1}, "name"),
        ({"items": None}, "items"),
        ({"items": {"items": [], "classes": ["x"]}}, "items"),
        ({"items": {"items": [{}], "classes": ["no.such:Class"]}}, "no.such:Class"),
        ({"items": {"items": [5], "classes": [f"{__name__}:Item"]}}, "entry"),
        ({"items": {"items": [], "classes": []}}, "not in items pile"),
        ({"progressions": {"items": [], "classes": []}, "items": {"items": 1}}, "items"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_version_or_a_corrupt_snapshot_is_refused(
    change: dict[str, Any], text: str
) -> None:
    item = Item()
    data = flow.Flow(item, Progression([item])).to_dict()
    with pytest.raises(flow.ValidationError, match=text):
        flow.Flow.from_dict({**data, **change})
    with pytest.raises(flow.ValidationError, match="mapping"):
        flow.Flow.from_dict("x")  # type: ignore[arg-type]  # refused
    with pytest.raises(flow.ValidationError, match="something else"):
        flow.Flow.from_dict({**data, "progressions": data["items"]})
    with pytest.raises(flow.ValidationError, match="corrupt"):
        flow.Flow.from_dict(data, item_type=Other)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "x"),
        ("number", 1.5),
        ("number", True),
        ("number", None),
        ("flag", 1),
        ("limit", "5"),
        ("limit", True),
        ("text", 5),
        ("tags", "x"),
        ("tags", ["x"]),
        ("pair", 5),
        ("table", [1]),
        ("table", {"k": "x"}),
        ("side", "hold"),
    ],
)
def test_a_declared_field_of_a_wrong_type_is_refused(field: str, value: Any) -> None:
    item = Rich()
    data = json.loads(json.dumps(flow.Flow(item).to_dict("json")))
    data["items"]["items"][0][field] = value
    with pytest.raises(flow.ValidationError, match=f"{item.id} of items: .*its field {field} is"):
        flow.Flow.from_dict(data)


def test_every_value_that_was_written_is_read() -> None:
    for item in (
        Rich(),
        Rich(flag=True, limit=None, tags=[1], table={A: 1}, side="sell", owner=B, unknown=5),
        Rich(limit=2.5, anything=object(), unknown=object()),
        Rich(limit=float("nan")),
    ):
        for mode in ("python", "json"):
            copy: flow.Flow[Rich] = flow.Flow.from_dict(flow.Flow(item).to_dict(mode))
            assert copy.items[0] == item


def test_the_status_progressions_of_a_snapshot_list_each_event_once_under_its_status() -> None:
    def work(**orders: list[flow.Event]) -> flow.Flow[flow.Event]:
        lists = [Progression(order, name=name) for name, order in orders.items()]
        copy: flow.Flow[flow.Event] = flow.Flow.from_dict(flow.Flow(events, lists).to_dict("json"))
        return copy

    first, second, failed = events = [flow.Event() for _ in range(3)]
    failed.status = flow.EventStatus.FAILED
    good = work(pending=[first, second], failed=[failed], completed=[], mine=[first, failed, first])
    assert good.get_progression("mine").order == [first.id, failed.id, first.id]
    assert len(work(mine=[first]).items) == 3
    corrupt: list[tuple[dict[str, list[flow.Event]], str]] = [
        (
            {"pending": [first, second], "failed": [failed], "completed": [first]},
            f"{first.id} is listed under pending and again under completed",
        ),
        (
            {"pending": [first, second, first], "failed": [failed]},
            f"{first.id} is listed under pending and again under pending",
        ),
        (
            {"pending": [first], "failed": [failed], "mine": [second]},
            f"{second.id} is pending, but it is listed under no status",
        ),
        (
            {"pending": [first, second, failed], "failed": []},
            f"{failed.id} is failed, but it is listed under pending",
        ),
    ]
    for orders, text in corrupt:
        with pytest.raises(flow.ValidationError, match=text):
            work(**orders)
