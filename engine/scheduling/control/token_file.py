"""The bearer token: read from where it is set, or made on first start. Blocking; use a thread."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.scheduling.control_settings import ControlApiSettings
from engine.scheduling.errors import SchedulingError

FILE_NAME: Final = "control_api.token"
SHORTEST: Final = 16
SHORTEST_REMOTE: Final = 32
_RANDOM_BYTES: Final = 32
_LONGEST_FILE: Final = 4096


class ControlApiError(SchedulingError):
    """The control API cannot be started as it is configured."""


def obtain_token(
    settings: ControlApiSettings, data_dir: Path, environment: Mapping[str, str]
) -> tuple[str, Path | None]:
    """Return the token, and the file it is in if it is in one.

    Raises:
        ControlApiError: the variable is missing, the file can be read by others, or the token is
            too short.
    """
    if settings.token is not None:
        name = settings.token.removeprefix("env:")
        token, path = environment.get(name, ""), None
        where = f"environment variable {name}"
    else:
        path = settings.token_file or data_dir / FILE_NAME
        token, where = _from_file(path), f"token file {path}"
    shortest = SHORTEST_REMOTE if settings.allow_remote else SHORTEST
    if len(token) < shortest or not token.isascii() or not token.isprintable() or " " in token:
        raise ControlApiError(
            f"control_api: {where} must hold one token of at least {shortest} "
            f"printable characters, it holds {len(token)}"
        )
    return token, path


def _from_file(path: Path) -> str:
    try:
        return _made(path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ControlApiError(
            f"control_api: token file {path} cannot be made: {error.strerror}", cause=error
        ) from error


def _made(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask says
        file.write(token + "\n")
    return token


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE)
    except OSError as error:
        raise ControlApiError(
            f"control_api: token file {path} cannot be read: {error.strerror}", cause=error
        ) from error
    if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ControlApiError(
            f"control_api: token file {path} may be read by others: chmod 600 {path}"
        )
    return content.decode("ascii", errors="replace").strip()
