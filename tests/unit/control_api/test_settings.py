"""The section `control_api`, and the token it leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.scheduling.control.token_file import FILE_NAME, ControlApiError, obtain_token
from engine.scheduling.control_settings import ControlApiSettings, is_loopback


def test_nothing_is_on_by_default() -> None:
    settings = ControlApiSettings()
    assert (settings.enabled, settings.allow_execute, settings.allow_remote) == (False,) * 3
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"hots": "localhost"}, "hots"),
        ({"token": "literal-secret-is-refused"}, "token"),
        ({"host": ""}, "host"),
        ({"host": "0.0.0.0"}, "allow_remote"),  # noqa: S104 (refused)
        ({"host": "::"}, "allow_remote"),
        ({"host": "192.168.1.5"}, "allow_remote"),
        ({"host": "trading.example"}, "allow_remote"),
        ({"host": "192.168.1.5", "allow_remote": True}, "certificate"),
        ({"allow_remote": True}, "certificate"),
        ({"private_key": "key.pem"}, "certificate"),
    ],
)
def test_unsafe_settings_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ControlApiSettings(**values)


def test_remote_is_possible_with_a_certificate() -> None:
    settings = ControlApiSettings(
        host="192.168.1.5", allow_remote=True, certificate=Path("c.pem"), private_key=Path("k.pem")
    )
    assert settings.host == "192.168.1.5"


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),  # noqa: S104 (refused)
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_what_loopback_is(host: str, *, is_it: bool) -> None:
    assert is_loopback(host) is is_it


def test_the_token_is_made_on_first_start_and_read_afterwards(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        token, path = obtain_token(ControlApiSettings(), tmp_path / "a" / "b", {})
    finally:
        os.umask(old)
    assert path == tmp_path / "a" / "b" / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(token) == 43
    assert obtain_token(ControlApiSettings(), tmp_path / "a" / "b", {}) == (token, path)
    assert obtain_token(ControlApiSettings(), tmp_path, {})[0] != token


def written(path: Path, text: str, mode: int = 0o600) -> ControlApiSettings:
    path.write_text(text)
    path.chmod(mode)
    return ControlApiSettings(token_file=path)


def test_a_token_of_the_operator_is_taken(tmp_path: Path) -> None:
    settings = written(tmp_path / "token", "0123456789abcdef\n")
    assert obtain_token(settings, tmp_path, {}) == ("0123456789abcdef", tmp_path / "token")


@pytest.mark.parametrize(
    "text", ["", "\n", "short", "0123456789 abcdef", "0123456789\nabcdef", "ü" * 20]
)
def test_a_weak_or_odd_token_is_refused_without_being_told(tmp_path: Path, text: str) -> None:
    settings = written(tmp_path / "token", text)
    with pytest.raises(ControlApiError, match="at least 16") as caught:
        obtain_token(settings, tmp_path, {})
    assert not text.strip() or text.strip() not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = written(tmp_path / "token", "0123456789abcdef", mode)
    with pytest.raises(ControlApiError, match="chmod 600"):
        obtain_token(settings, tmp_path, {})


def test_a_file_that_cannot_be_used_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(ControlApiError, match="Is a directory"):
        obtain_token(ControlApiSettings(token_file=tmp_path), tmp_path, {})
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    with pytest.raises(ControlApiError, match="Not a directory"):
        obtain_token(ControlApiSettings(token_file=in_the_way / "token"), tmp_path, {})


def test_a_token_is_not_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(ControlApiError):
        obtain_token(ControlApiSettings(token_file=link), tmp_path, {})
    assert not target.exists()


def test_remote_needs_a_token_of_32_characters(tmp_path: Path) -> None:
    remote = {"allow_remote": True, "certificate": Path("c.pem")}
    short, long = "x" * 31, "x" * 32
    settings = ControlApiSettings(token="env:T", **remote)  # noqa: S106
    with pytest.raises(ControlApiError, match="at least 32"):
        obtain_token(settings, tmp_path, {"T": short})
    assert obtain_token(settings, tmp_path, {"T": long}) == (long, None)


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    settings = ControlApiSettings(token="env:NOT_SET")  # noqa: S106 (a reference)
    with pytest.raises(ControlApiError, match="NOT_SET"):
        obtain_token(settings, tmp_path, {})
