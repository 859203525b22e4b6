"""How much memory is left, so that arrays that cannot fit are refused before they are allocated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LITTLE = 1 << 26  # bytes that are taken to be free, since to find out would take longer than a small fit
BYTES_A_FEATURE = 32  # bytes that a default fit of a linear model with one output to sparse examples holds
SUGGESTED_BITS = 24  # the largest number of hash bits that is advised
CGROUPS = Path("/sys/fs/cgroup")


def bytes_at_hand() -> int | None:
    """Bytes that can still be allocated and held, by the strictest limit; None where no limit can be read."""
    return min(_limits(), default=None)


def advice(bits: int = SUGGESTED_BITS) -> str:
    """Advice for too many columns, as part of a message; `bits` hash bits would fit."""
    bits = min(bits, SUGGESTED_BITS)
    return f"hash columns into fewer with hash_bits={bits} (fit --hash-bits {bits})"


def in_words(count: float) -> str:
    """A number of bytes, written in a unit of its size."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _limits() -> Iterator[int]:
    """Bytes left by the machine's free memory, by this process's address space, and by its control groups.

    A number that cannot be read, as on another system, sets no limit.
    """
    with suppress(OSError, ValueError, KeyError):
        yield _kilobytes("/proc/meminfo", "MemAvailable")
    with suppress(ImportError, OSError, ValueError, KeyError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            yield max(0, most - _kilobytes("/proc/self/status", "VmSize"))
    for folder in _control_groups():
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with suppress(OSError, ValueError, KeyError):
                most = int((folder / limit).read_text())  # "max" is no number
                held = int((folder / usage).read_text()) - _fields(folder / "memory.stat")[cache]
                yield max(0, most - held)


def _control_groups() -> Iterator[Path]:
    """Folders of the control groups of this process that may limit memory, with the groups that contain them."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                root = CGROUPS / controllers
                group = root / path.strip("/")
                yield group
                yield from (parent for parent in group.parents if parent.is_relative_to(root))


def _fields(path: str | Path) -> dict[str, int]:
    """The names at the beginning of lines, each with the number after it."""
    words = (line.replace(":", " ").split() for line in Path(path).read_text().splitlines())
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdigit()}


def _kilobytes(path: str, name: str) -> int:
    return 1024 * _fields(path)[name]
