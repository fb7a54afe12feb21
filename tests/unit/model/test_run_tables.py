from __future__ import annotations

import hashlib
import struct

import numpy as np

from engine.model.draws import mix
from engine.model.run_tables import (
    EQUITY_DTYPE,
    FILL_DTYPE,
    ORDER_DTYPE,
    Table,
    digest64,
    fingerprint,
)


def tables() -> tuple[Table, Table, Table]:
    fills = np.zeros(2, dtype=FILL_DTYPE)
    fills[0] = (10, 1, 7, 2, 1, 1, 100, 5_000, 3, 4, 1, 0)
    fills[1] = (20, 2, 8, 0, -1, 0, 50, -5_001, -3, 0, 0, 1)
    equity = np.zeros(1, dtype=EQUITY_DTYPE)
    equity[0] = (30, -1, 99, 1)
    orders = np.zeros(1, dtype=ORDER_DTYPE)
    orders["seq"], orders["state"] = 7, 4
    return fills, equity, orders


def test_the_fingerprint_is_the_hash_of_the_bytes_that_the_rule_names_det_4() -> None:
    text = b"BTRES1\n"
    text += struct.pack("<qIHbBqqq", 10, 7, 2, 1, 1, 100, 5_000, 3)
    text += struct.pack("<qIHbBqqq", 20, 8, 0, -1, 0, 50, -5_001, -3)
    text += struct.pack("<qq", 30, -1)
    text += struct.pack("<IB", 7, 4)
    assert struct.calcsize("<qIHbBqqq") == 40
    assert fingerprint(*tables()) == hashlib.sha256(text).hexdigest()


def test_the_digest_mixes_the_same_integers_det_4() -> None:
    values = [10, 7, 2, 1, 1, 100, 5_000, 3, 20, 8, 0, -1, 0, 50, -5_001, -3, 30, -1, 7, 4]
    state = 0
    for value in values:
        state = mix(state ^ value % 2**64)
    assert digest64(*tables()) == state


def test_what_is_not_named_does_not_matter() -> None:
    fills, equity, orders = tables()
    before = fingerprint(fills, equity, orders)
    fills["slippage_atoms"] += 1
    fills["ambiguous"] = 0
    equity["cash_atoms"] += 1
    orders["ts_created"] += 1
    assert fingerprint(fills, equity, orders) == before
    fills["fee_atoms"] += 1
    assert fingerprint(fills, equity, orders) != before
