"""One request of a caller, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from engine.scheduling.http_log import place_of
from engine.scheduling.option import as_number

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
REQUEST_ARGUMENTS: Final = frozenset(
    {"auth", "content", "cookies", "data", "files", "headers", "json", "params"}
)
_TOKEN: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,31}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What `configure_api` keeps of one API."""

    base_url: httpx2.URL | None = None
    headers: httpx2.Headers | None = None
    rate_limit: int | None = None
    timeout: float | None = None

    def url_of(self, text: object) -> httpx2.URL:
        """Return the absolute URL of *text*, which may be relative to `base_url`."""
        url = parsed_url(text)
        if url.is_relative_url and self.base_url is not None:
            path = self.base_url.raw_path.rstrip(b"/") + b"/"
            url = self.base_url.copy_with(raw_path=path + url.raw_path.lstrip(b"/"))
        return checked_url(url)

    def headers_for(self, url: httpx2.URL) -> httpx2.Headers:
        """Return the API's headers, none for an origin that is not the API's: they hold keys."""
        is_foreign = self.base_url is not None and self.base_url.origin != url.origin
        return httpx2.Headers() if self.headers is None or is_foreign else self.headers.copy()


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request that may be sent, possibly several times."""

    method: str
    url: httpx2.URL
    api_name: str
    idempotent: bool
    retries: int
    timeout: float
    rate_limit: int | None
    arguments: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Method, host and path: what messages and logs may say."""
        return f"{self.method} {place_of(self.url)}"


def checked_call(
    method: object,
    url: object,
    api_name: object,
    api: ApiSettings,
    *,
    idempotent: object,
    retries: int,
    timeout: object,
    rate_limit: object,
    arguments: Mapping[str, Any],
) -> HttpCall:
    """Return the call.

    Raises:
        ValueError: a value is not allowed; the message names it.
        TypeError: there is no such argument, or the body could not be sent a second time.
    """
    if not isinstance(method, str) or _TOKEN.fullmatch(method) is None:
        raise ValueError(f"method must be a word such as GET, not {method!r}")
    if idempotent is not None and not isinstance(idempotent, bool):
        raise ValueError(f"idempotent must be True, False or None, not {idempotent!r}")
    target = api.url_of(url)
    wanted = dict(arguments)
    unknown = sorted(wanted.keys() - REQUEST_ARGUMENTS)
    if unknown:
        raise TypeError(
            f"http_request has no argument {unknown[0]!r}; "
            f"there are {', '.join(sorted(REQUEST_ARGUMENTS))}"
        )
    if not isinstance(wanted.get("content", b""), bytes | str):
        raise TypeError("content must be bytes or str: a stream cannot be sent a second time")
    headers = api.headers_for(target)
    headers.update(wanted.pop("headers", None))
    _check_headers(headers)
    verb = method.upper()
    return HttpCall(
        method=verb,
        url=target,
        api_name=checked_api_name(api_name),
        idempotent=verb in IDEMPOTENT if idempotent is None else idempotent,
        retries=retries,
        timeout=checked_timeout(timeout),
        rate_limit=checked_rate_limit(rate_limit),
        arguments={**wanted, "headers": headers},
    )


def parsed_url(text: object) -> httpx2.URL:
    """Return *text* as a URL.

    Raises:
        ValueError: it is none. The message does not repeat it: it may hold a key.
    """
    if not isinstance(text, str | httpx2.URL):
        raise ValueError(f"url must be a string, not {type(text).__name__}")  # noqa: TRY004 (specified)
    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL:
        raise ValueError("url cannot be parsed") from None


def checked_url(url: httpx2.URL) -> httpx2.URL:
    """Return *url*.

    Raises:
        ValueError: it is no http or https URL with a host, or has credentials in it.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"url must begin with http:// or https:// and a host: {place_of(url)!r}")
    if url.userinfo:
        raise ValueError(f"url must not hold credentials: {place_of(url)!r}")
    return url


def checked_rate_limit(value: object) -> int | None:
    """Return *value*.

    Raises:
        ValueError: it is neither None nor an integer of at least 1.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"rate_limit must be an integer >= 1 or None, not {value!r}")
    return value


def checked_timeout(value: object) -> float:
    """Return *value* as seconds.

    Raises:
        ValueError: it is no finite number above 0.
    """
    seconds = as_number(value)
    if seconds is None or not 0 < seconds < float("inf"):
        raise ValueError(f"timeout must be a number of seconds > 0, not {value!r}")
    return seconds


def _check_headers(headers: httpx2.Headers) -> None:
    for name, value in headers.items():
        if _CONTROL.search(value) or not name.isprintable():
            raise ValueError(f"header {name!r} has characters that HTTP does not allow")


def checked_base_url(text: object) -> httpx2.URL:
    """Return *text* as the URL that paths are put behind.

    Raises:
        ValueError: it is no http or https URL, has credentials, a query or a fragment.
    """
    url = checked_url(parsed_url(text))
    if url.query or url.fragment:
        raise ValueError(f"base_url must not have a query or fragment: {place_of(url)!r}")
    return url


def checked_retries(value: object, default: int) -> int:
    """Return how many attempts may follow the first one.

    Raises:
        ValueError: *value* is no bool, None or integer of at least 0.
    """
    if value is None or value is True:
        return default
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"retry must be True, False, None or an integer >= 0, not {value!r}")
    return int(value)


def checked_api_name(name: object) -> str:
    """Return *name*.

    Raises:
        ValueError: it is no string of 1 to 200 printable characters.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
        raise ValueError(f"api_name must be 1 to {_MAX_NAME} printable characters: {name!r}")
    return name
