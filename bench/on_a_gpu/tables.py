"""Tables of what was timed, in Markdown."""

from __future__ import annotations

from races import COPY, Race


def table(race: Race) -> str:
    """A line for each contender; speeds as shares of the copy's, where it is known how many bytes were moved."""
    [copy] = [time for time in race.times if time.name == COPY]
    head = race.work, "GPU, us", "host, us", "GB/s", "of a copy"
    rows = [head, ("---", "---:", "---:", "---:", "---:")]
    for time in race.times:
        speed, of_copy = time.bytes / time.gpu, copy.bytes / copy.gpu
        shares = (f"{speed * 1e-9:,.0f}", f"{speed / of_copy:.2f}") if time.bytes else ("", "")
        rows.append((time.name, f"{time.gpu * 1e6:,.1f}", f"{time.host * 1e6:,.1f}", *shares))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, *(f"\n{reason}" for reason in race.absent), ""])
