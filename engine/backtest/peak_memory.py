"""The most memory that this process has had."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_PEAK: Final = "VmHWM:"
_KIB: Final = 1024


def peak_rss_bytes() -> int:
    """Return the largest resident size of this process in bytes.

    Where the kernel tells it, it is that of this program alone: ``ru_maxrss`` counts what the
    process was before it became this program, so a child of a large one seems large.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) * _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
