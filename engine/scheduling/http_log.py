"""Keeps the HTTP libraries from logging what the pool must not: queries, headers, bodies."""

from __future__ import annotations

import logging
from typing import Final

import httpx2

# httpx2 logs whole URLs, with `signature=` in them; httpcore2 logs header lists.
_CLIENT: Final = "httpx2"
_WIRE: Final = ("connection", "http11", "http2", "proxy", "socks")


def place_of(url: httpx2.URL) -> str:
    """Return host and path of *url*: what a log line may show."""
    return f"{url.host}{url.path}"


class _OnlyHostAndPath(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                place_of(arg) if isinstance(arg, httpx2.URL) else arg for arg in record.args
            )
        return True


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return False


_ONLY_HOST_AND_PATH: Final = _OnlyHostAndPath()
_NOTHING: Final = _Nothing()


def hide_request_details() -> None:
    """Filter the libraries' loggers; doing it again changes nothing."""
    logging.getLogger(_CLIENT).addFilter(_ONLY_HOST_AND_PATH)
    for name in _WIRE:
        logging.getLogger(f"httpcore2.{name}").addFilter(_NOTHING)
