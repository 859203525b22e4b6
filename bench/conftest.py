"""What the benchmarks share: `pytest bench` runs them and prints the table of README.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numba
import pytest
from race import NOT_INSTALLED, Line, Race, table

LINES = pytest.StashKey[list[Line]]()
PACKAGES = ("fastadagrad", "numba", "numpy", "torch", "scikit-learn", "vowpalwabbit")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastadagrad")
    group.addoption("--quick", action="store_true", help="small sizes and few rounds: a smoke test of the benchmarks")
    group.addoption("--strict-targets", action="store_true", help="fail where a target is missed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))  # the peers' own warnings are not our errors


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash[LINES]
    if lines:
        terminalreporter.section("medians of interleaved runs")
        terminalreporter.write_line(", ".join(map(_installed, PACKAGES)))
        terminalreporter.write_line("\n" + table(lines))
        absent = sorted({line.against for line in lines if line.verdict == NOT_INSTALLED})
        if absent:
            terminalreporter.write_line(f"\nNOT INSTALLED, not measured: {', '.join(absent)}", red=True, bold=True)


def _installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} {NOT_INSTALLED}"


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether small sizes will do."""
    return bool(request.config.getoption("--quick"))


@pytest.fixture
def new_race(request: pytest.FixtureRequest, benchmark: Any, subtests: Any) -> Callable[[str], Race]:
    """Make the race of a test, given what it is about."""

    def new_race(work: str) -> Race:
        lines, strict = request.config.stash[LINES], request.config.getoption("--strict-targets")
        return Race(work, benchmark, subtests, lines, bool(strict))

    return new_race


@pytest.fixture
def two_threads() -> Iterator[int]:
    """Limit Numba to two threads, fewer if it has not as many."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, before))
    yield numba.get_num_threads()
    numba.set_num_threads(before)
