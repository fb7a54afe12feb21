"""The operator's key map: what cannot be used is named and left out."""

from __future__ import annotations

import pytest

from tui.actions import ACTIONS, Scope, action_by_id
from tui.keymap import FORBIDDEN, check_keymap


def test_a_new_key_is_taken() -> None:
    checked = check_keymap({"exec.stop": "D,ctrl+k", "app.help": "?"})
    assert checked.keys == {"exec.stop": "D,ctrl+k", "app.help": "question_mark"}
    assert checked.problems == ()


def test_an_unknown_action_names_its_nearest() -> None:
    (problem,) = check_keymap({"exec.stp": "x"}).problems
    assert "did you mean 'exec.stop'" in problem


def test_a_clash_leaves_the_line_out_and_names_the_other_action() -> None:
    checked = check_keymap({"exec.new": "j"})
    assert not checked.keys
    assert "j already means list.down" in checked.problems[0]


def test_a_key_that_was_given_away_can_be_taken() -> None:
    checked = check_keymap({"exec.new": "N", "log.level": "n"})
    assert checked.keys == {"exec.new": "N", "log.level": "n"}


def test_actions_that_never_meet_may_share_a_key() -> None:
    assert check_keymap({"log.level": "x"}).keys == {"log.level": "x"}


def test_a_key_that_its_widget_takes_cannot_be_changed() -> None:
    assert "cannot be changed" in check_keymap({"form.enter": "tab"}).problems[0]


def test_keys_of_a_dialog_do_not_meet_those_of_the_screen_below() -> None:
    assert check_keymap({"stop.keep": "j"}).problems == ()
    assert "confirm.yes" in check_keymap({"stop.keep": "y"}).problems[0]


@pytest.mark.parametrize("key", sorted(FORBIDDEN))
def test_keys_that_terminals_swallow_are_refused(key: str) -> None:
    assert "cannot be used" in check_keymap({"exec.new": key}).problems[0]


def test_no_key_is_a_mistake() -> None:
    assert "no key" in check_keymap({"exec.new": " "}).problems[0]


def test_the_defaults_do_not_clash_among_themselves() -> None:
    assert check_keymap({action.id: action.keys for action in ACTIONS}).problems == ()


def test_ids_are_unique_and_every_action_is_described() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(set(ids)) == len(ids)
    assert all(action.description and action.text for action in ACTIONS)


def test_no_default_key_is_forbidden() -> None:
    keys = {key for action in ACTIONS for key in action.keys.split(",")}
    assert not keys & set(FORBIDDEN)


def test_what_stops_or_stores_asks_first() -> None:
    assert action_by_id("exec.stop").danger == 2
    assert action_by_id("exec.store").danger == 2
    with pytest.raises(KeyError):
        action_by_id("exec.fly")


def test_every_scope_has_actions() -> None:
    assert {action.scope for action in ACTIONS} == set(Scope)
