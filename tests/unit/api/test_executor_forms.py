"""Create and update forms of executors, checked against a session."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.api.executor_forms import check_create, check_update, executor_types, update_fields
from engine.api.views import FormCheck
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.testing.small_session import SmallSession

load_builtin_executors()
TYPES = tuple(ExecutorFactory.registrations())
CREATE = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": "2",
    "triple_barrier_config.open_order_type": "MARKET",
}
TRAILING = "triple_barrier_config.trailing_stop."


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    return session


def create(session: SmallSession, **changes: str) -> FormCheck:
    values = {**CREATE, **{name.replace("__", "."): text for name, text in changes.items()}}
    return check_create(session.published(), "position_executor", values)


def update(session: SmallSession, executor_id: str, **typed: str) -> FormCheck:
    values = {name.replace("__", "."): text for name, text in typed.items()}
    return check_update(session.published(), session.snapshot(executor_id), values)


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_has_a_form_with_the_markets_of_the_session(
    session: SmallSession, type_name: str
) -> None:
    view = next(one for one in executor_types(session.published()) if one.type == type_name)
    assert view.summary
    assert "_" not in view.title
    fields = {field.name: field for field in view.fields}
    assert len(fields) == len(view.fields)
    if "trading_pair" in fields:
        assert fields["trading_pair"].choices == ("AAA-USDT", "BBB-USDT")
        assert fields["connector_name"].choices == ("sim",)
    if "side" in fields:
        assert fields["side"].choices == ("BUY", "SELL")
    for field in view.fields:
        assert field.label
        assert not field.choices or field.kind == "choice"
        assert not {"id", "timestamp", "controller_id", "type"} & {field.name}


@pytest.mark.parametrize("type_name", TYPES)
def test_an_empty_form_of_every_type_names_what_is_needed(
    session: SmallSession, type_name: str
) -> None:
    check = check_create(session.published(), type_name, {})
    view = next(one for one in executor_types(session.published()) if one.type == type_name)
    needed = {field.name for field in view.fields if field.required and not field.default}
    assert not check.ok
    assert set(check.errors) == needed
    assert all("is needed" in text for text in check.errors.values())


@pytest.mark.parametrize("type_name", TYPES)
def test_errors_of_every_type_are_on_fields_of_its_form(
    session: SmallSession, type_name: str
) -> None:
    view = next(one for one in executor_types(session.published()) if one.type == type_name)
    typed = {field.name: "-1" for field in view.fields if field.kind in ("number", "percent")}
    check = check_create(session.published(), type_name, typed)
    assert not check.ok
    assert set(check.errors) <= {"", *(field.name for field in view.fields)}


def test_a_complete_form_gives_what_the_command_needs(session: SmallSession) -> None:
    check = create(session, triple_barrier_config__stop_loss="2%", amount="1.5")
    assert check.ok
    assert check.understood == {"triple_barrier_config.stop_loss": "0.02"}
    result = session.act("create", executor_type="position_executor", config=dict(check.values))
    assert result.ok
    snapshot = session.snapshot(str(result.executor_id))
    assert snapshot.amount_lots == 1500
    assert snapshot.levels.stop_loss is not None


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"amount": "0.0015"}, "amount", "0.0015 is below the smallest order 0.002"),
        ({"amount": "1.0005"}, "amount", "1.0005 is not a multiple of the step 0.001"),
        ({"amount": "-1"}, "amount", "must be greater than 0, got -1"),
        ({"leverage": "0"}, "leverage", "must be at least 1, got 0"),
        ({"leverage": "2.5"}, "leverage", "integer"),
        ({"side": "RANGE"}, "side", "'RANGE' is not one of BUY, SELL"),
        ({"trading_pair": "ZZZ-USDT"}, "trading_pair", "not one of AAA-USDT, BBB-USDT"),
        ({f"{TRAILING}trailing_delta": "1%"}, f"{TRAILING}activation_price", "required"),
        (
            {"activation_bounds": "1%"},
            "activation_bounds",
            "activation_bounds must have 2 values for MARKET",
        ),
    ],
)
def test_a_mistake_is_on_its_field(
    session: SmallSession, changes: dict[str, str], field: str, said: str
) -> None:
    check = create(session, **changes)
    assert list(check.errors) == [field]
    assert said in check.errors[field]
    assert check.values == {} or field == "amount"


def test_a_market_of_another_venue_is_refused_for_every_type_with_a_market() -> None:
    session = SmallSession()
    values = {**CREATE, "connector_name": "elsewhere", "execution_strategy": "MARKET"}
    for type_name in ("position_executor", "order_executor"):
        check = check_create(session.published(), type_name, values)
        assert "connector_name" in check.errors


def test_an_order_executor_is_held_to_the_grid_too(session: SmallSession) -> None:
    values = {**CREATE, "execution_strategy": "MARKET", "amount": "0.0001"}
    check = check_create(session.published(), "order_executor", values)
    assert "below the smallest order" in check.errors["amount"]


@pytest.mark.parametrize(
    ("strategy", "field", "said"),
    [
        ("LIMIT", "price", "price is required for LIMIT"),
        ("LIMIT_CHASER", "chaser_config.distance", "chaser_config is required for LIMIT_CHASER"),
    ],
)
def test_a_rule_over_several_fields_is_on_the_one_that_it_names(
    session: SmallSession, strategy: str, field: str, said: str
) -> None:
    values = {**CREATE, "execution_strategy": strategy}
    check = check_create(session.published(), "order_executor", values)
    assert list(check.errors) == [field]
    assert said in check.errors[field]


def test_an_unknown_type(session: SmallSession) -> None:
    check = check_create(session.published(), "nothing", CREATE)
    assert check.errors == {"": "there is no executor type 'nothing'"}


def test_the_update_form_shows_the_values_in_force(session: SmallSession) -> None:
    executor_id = session.create(
        triple_barrier_config={
            "open_order_type": "MARKET",
            "stop_loss": "0.020",
            "time_limit": 300,
            "trailing_stop": {"activation_price": "0.01", "trailing_delta": "0.005"},
        }
    )
    shown = {field.name: field.default for field in update_fields(session.snapshot(executor_id))}
    assert shown == {
        "stop_loss": "0.02",
        "take_profit": "",
        "time_limit": "300",
        "take_profit_order_type": "MARKET",
        "activation_bounds": "",
        "trailing_stop.activation_price": "0.01",
        "trailing_stop.trailing_delta": "0.005",
    }


@pytest.mark.parametrize(
    "typed",
    [{}, {"stop_loss": "2%"}, {"stop_loss": " 0.0200 "}, {"take_profit": "3%", "time_limit": " "}],
    ids=["nothing", "other text", "other zeros", "same"],
)
def test_the_same_values_are_no_change(session: SmallSession, typed: dict[str, str]) -> None:
    check = update(session, session.create(), **typed)
    assert check.errors == {"": "nothing is changed yet"}
    assert check.values == {}


def test_only_what_changed_is_sent(session: SmallSession) -> None:
    executor_id = session.create()
    check = update(session, executor_id, stop_loss="1%", take_profit="3%")
    assert check.ok
    assert check.values == {"stop_loss": Decimal("0.01")}
    assert check.understood["stop_loss"] == "0.01"
    assert any(label == "stop loss" for label, _ in check.preview)


def test_an_emptied_field_switches_its_barrier_off(session: SmallSession) -> None:
    executor_id = session.create()
    check = update(session, executor_id, stop_loss="")
    assert check.values == {"stop_loss": None}
    assert session.act("update", executor_id=executor_id, changes=dict(check.values)).ok
    assert session.snapshot(executor_id).levels.stop_loss is None
    assert session.snapshot(executor_id).levels.take_profit is not None


def test_a_group_is_sent_whole_and_switched_off_whole(session: SmallSession) -> None:
    executor_id = session.create()
    check = update(
        session,
        executor_id,
        trailing_stop__activation_price="1%",
        trailing_stop__trailing_delta="0.5%",
    )
    assert check.values == {
        "trailing_stop": {
            "activation_price": Decimal("0.01"),
            "trailing_delta": Decimal("0.005"),
        }
    }
    session.act("update", executor_id=executor_id, changes=dict(check.values))
    off = update(
        session,
        executor_id,
        trailing_stop__activation_price="",
        trailing_stop__trailing_delta="",
    )
    assert off.values == {"trailing_stop": None}


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"stop_loss": "x"}, "stop_loss", "not a fraction"),
        ({"stop_loss": "-1%"}, "stop_loss", "greater than 0"),
        ({"trailing_stop__trailing_delta": "1%"}, "trailing_stop.activation_price", "required"),
        ({"activation_bounds": "1%"}, "activation_bounds", "activation_bounds must have 2 values"),
    ],
)
def test_a_mistake_in_an_update_is_on_its_field(
    session: SmallSession, typed: dict[str, str], field: str, said: str
) -> None:
    check = update(session, session.create(), **typed)
    assert list(check.errors) == [field]
    assert said in check.errors[field]
    assert check.values == {}


def test_a_needed_field_of_an_update_cannot_be_emptied(session: SmallSession) -> None:
    config = {
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
        "side": "BUY",
        "amount": "2",
        "execution_strategy": "LIMIT",
        "price": "90",
    }
    result = session.act("create", executor_type="order_executor", config=config)
    executor_id = str(result.executor_id)
    assert update(session, executor_id).errors == {"": "nothing is changed yet"}
    assert update(session, executor_id, price="").errors == {"price": "Price is needed"}
    assert update(session, executor_id, price="91").values == {"price": Decimal(91)}


def test_an_update_that_asks_for_one_number(session: SmallSession) -> None:
    config = {
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
        "side": "BUY",
        "amount": "2",
        "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.02"},
    }
    result = session.act("create", executor_type="progressive_executor", config=config)
    executor_id = str(result.executor_id)
    assert update(session, executor_id).errors == {"": "nothing is changed yet"}
    check = update(session, executor_id, volatility="1%")
    assert check.values == {"volatility": Decimal("0.01")}
