"""From a response to what the caller gets: status and data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message
from typing import Any, NoReturn

import httpx2


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read to its end."""

    status: int
    headers: httpx2.Headers
    body: bytes

    def data(self, *, raw: bool) -> Any:  # noqa: ANN401 (whatever JSON the peer sends)
        """Return the bytes if *raw*, else parsed JSON or text, as the media type says.

        Raises:
            ValueError: the body is no JSON although it says so, or not in its charset.
        """
        if raw:
            return self.body
        media_type, charset = _content_type(self.headers.get("content-type", ""))
        if media_type == "application/json" or media_type.endswith("+json"):
            return _parsed(self.body)
        try:
            return self.body.decode(charset)
        except (LookupError, UnicodeDecodeError) as exc:
            raise ValueError(f"the body is not in its charset {charset!r}") from exc


def _content_type(header: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = header
    return message.get_content_type(), message.get_content_charset() or "utf-8"


def _parsed(body: bytes) -> Any:  # noqa: ANN401 (as above)
    if not body.strip():
        return None
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc
    except ValueError as exc:
        # From None: the decoder's own error carries the whole body.
        raise ValueError(f"the body is no JSON: {type(exc).__name__}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
