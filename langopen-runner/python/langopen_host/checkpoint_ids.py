"""New checkpoint ids are above those that were read, whatever this machine's clock says.

The library makes ids of version 6 from the clock, and never two in the wrong order within a process. Clients sort by these ids,
so a host whose clock is behind another host's must not go on below that one's ids.
"""

from __future__ import annotations

from langgraph.checkpoint.base import id as library


def stay_above(*ids: str | None) -> None:
    """Makes every id that the library creates from now on greater than these. Ids of another form do not count."""
    greatest = max((_ticks(each) for each in ids if each), default=0)
    if greatest > (getattr(library, "_last_v6_timestamp", None) or 0):
        library._last_v6_timestamp = greatest


def _ticks(checkpoint_id: str) -> int:
    """The moment in an id of version 6, in units of 100 ns; 0 for any other id."""
    if len(checkpoint_id) != 36 or checkpoint_id[14] != "6":
        return 0
    try:
        return int(checkpoint_id[:8] + checkpoint_id[9:13] + checkpoint_id[15:18], 16)
    except ValueError:
        return 0
