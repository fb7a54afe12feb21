"""Options of the resource pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.scheduling.option import OptionSpec, number, whole

MIB: Final = 1024 * 1024

HTTP_POOL_SIZE: Final = OptionSpec(20, whole(1, 10_000))
HTTP_TIMEOUT: Final = OptionSpec(30.0, number(above=True))
HTTP_RETRY_COUNT: Final = OptionSpec(3, whole(0, 100))
HTTP_RETRY_DELAY: Final = OptionSpec(1.0, number())
HTTP_RETRY_MAX_DELAY: Final = OptionSpec(30.0, number())
RATE_LIMIT_WINDOW: Final = OptionSpec(60.0, number(above=True))
CACHE_TTL: Final = OptionSpec(60.0, number(infinite=True))
CACHE_MAX_SIZE: Final = OptionSpec(10_000, whole(0))
HTTP_MAX_BODY: Final = OptionSpec(16 * MIB, whole(0))
CLOSE_GRACE: Final = OptionSpec(2.0, number())

POOL_OPTIONS: Final[Mapping[str, OptionSpec[Any]]] = {
    "http_pool_size": HTTP_POOL_SIZE,
    "http_timeout": HTTP_TIMEOUT,
    "http_retry_count": HTTP_RETRY_COUNT,
    "http_retry_delay": HTTP_RETRY_DELAY,
    "http_retry_max_delay": HTTP_RETRY_MAX_DELAY,
    "rate_limit_window": RATE_LIMIT_WINDOW,
    "cache_ttl": CACHE_TTL,
    "cache_max_size": CACHE_MAX_SIZE,
    "http_max_body": HTTP_MAX_BODY,
    "close_grace": CLOSE_GRACE,
}
