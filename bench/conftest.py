"""What the benchmarks share: `pytest bench` runs them and prints the table of README.md."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numba
import pytest
from race import NOT_INSTALLED, NOT_MEASURED, Line, NewRace, Race, table

LINES = pytest.StashKey[list[Line]]()
NOT_RUN = {
    "DeepSpeed CPUAdagrad": "it builds itself with a C++ compiler at first use, which took 100 s",
}
PACKAGES = ("fastadagrad", "numba", "numpy", "torch", "fbgemm-gpu-cpu", "scikit-learn", "vowpalwabbit")


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
        terminalreporter.write_line("")
        for peer, reason in NOT_RUN.items():
            terminalreporter.write_line(f"{peer}: not run, {reason}")
        left_out = {line.against or line.work for line in lines if line.verdict in (NOT_INSTALLED, NOT_MEASURED)}
        if left_out:
            told = f"\nNOT MEASURED, see SKIPPED: {'; '.join(sorted(left_out))}"
            terminalreporter.write_line(told, red=True, bold=True)


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
def new_race(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[NewRace]:
    """Make the race of a test, given what it is about."""
    races = []

    def new_race(work: str) -> Race:
        races.append(Race(work, benchmark, request.config.stash[LINES]))
        return races[-1]

    yield new_race
    for race in races:
        if race.missed and request.config.getoption("--strict-targets"):
            pytest.fail("; ".join(race.missed), pytrace=False)
        if race.absent:
            pytest.skip("; ".join(race.absent))


@pytest.fixture
def two_threads() -> Iterator[int]:
    """Limit Numba to two threads, fewer if it has not as many."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(2, before))
    yield numba.get_num_threads()
    numba.set_num_threads(before)
