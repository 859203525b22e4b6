"""Fixtures of several test files."""

import gc
import itertools
import logging
import os
import signal
import sys
import zlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from gpu import Hardware, Interpreter, why_no_hardware
from quick_cases import is_quick
from sparse import set_thresholds

from fastadagrad.device import backend


def pytest_addoption(parser):
    """Add the option by which several runs share the cases of each test."""
    what = "run every N-th case of each test, beginning with number K from 0, and one of a test that has fewer"
    parser.addoption("--share", type=_share, default=(0, 1), metavar="K/N", help=what)


def _share(text):
    number, of = map(int, text.split("/"))
    return number % of, of


def pytest_configure():
    """Give the tests' processes, and those that they start, the same whatever the tests are run from."""
    os.environ["PYTHONSAFEPATH"] = "1"  # else a child takes a fastadagrad of the current folder for the installed one
    # A shell starts what it runs in the background with Ctrl-C ignored; the tests press it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_search_path(monkeypatch):
    """Give each test a `sys.path` of its own: a problem that is named `module:function` adds the current folder."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture(autouse=True)
def random_numbers_by_the_name_of_the_test(monkeypatch, request):
    """Seed each generator for which a test gives no seed: the same in each run, and no two of a test alike."""
    seeded, made = np.random.default_rng, itertools.count(zlib.crc32(request.node.name.encode()) << 32)
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: seeded(next(made) if seed is None else seed))


LOGGER = logging.getLogger("fastadagrad")
HANDLERS, LEVEL = list(LOGGER.handlers), LOGGER.level


@pytest.fixture(autouse=True)
def log_as_it_was():
    """Take away what a command has told the log, whose standard error is closed since: in a test or in a fixture."""
    _restore_log()
    yield
    _restore_log()


def _restore_log():
    LOGGER.handlers[:] = HANDLERS
    LOGGER.setLevel(LEVEL)


@pytest.fixture(params=[1, 2], ids=["serial", "threaded"])
def threads(request, monkeypatch):
    if request.param > 1:
        set_thresholds(monkeypatch)
    return request.param


@pytest.fixture
def gpu(request, monkeypatch):
    """That on which device arrays are, in the place of the one that the driver would find."""
    kind = getattr(request, "param", "interpreter")
    if kind == "driver":
        from stand_in import installed

        with installed(monkeypatch):
            yield _installed(Hardware(), monkeypatch)
    else:
        yield _installed(Hardware() if kind == "hardware" else Interpreter(), monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def what_there_is_is_no_garbage():
    """Keep collections from looking through the millions of objects that compiling leaves behind."""
    gc.freeze()


@pytest.fixture
def interpreter(monkeypatch):
    """The one that is no real one, for tests with streams that there are not, or arrays that say where they are not."""
    return _installed(Interpreter(), monkeypatch)


def _installed(device, monkeypatch):
    monkeypatch.setattr(backend, "backend_at", lambda address: device)
    return device


BEHIND_THE_DRIVER = {"test_device", "test_device_failures", "test_device_protocol"}


def pytest_generate_tests(metafunc):
    """What runs on the interpreted GPU runs on a real one too; where there is none, some of it behind its driver."""
    if "gpu" not in metafunc.fixturenames:
        return
    kinds = ["interpreter"]
    if why_no_hardware() is None:
        kinds.append(pytest.param("hardware", marks=pytest.mark.gpu))
    elif metafunc.module.__name__ in BEHIND_THE_DRIVER:
        kinds.append(pytest.param("driver", marks=pytest.mark.slow))
    metafunc.parametrize("gpu", kinds, indirect=True)


TWICE = {"test_bits", "test_row_unit", "test_rows", "test_sparse_matrices"}


EXTRA = "fastadagrad[test-cuda]"  # whose absence skips tests, which say so
NEEDS_EXTRA = {"driver", "ptxas"}  # fixtures


def needs_extra(item):
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("gpu") == "driver" or not NEEDS_EXTRA.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail a test that skips because the extra is missing and has no mark, as `-m cuda` would not run it."""
    report = yield
    if report.skipped and EXTRA in str(report.longrepr) and not item.get_closest_marker("cuda"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs {EXTRA}: mark it with pytest.mark.cuda"
    return report


def pytest_terminal_summary(terminalreporter):
    """Print how many tests of CUDA's driver were skipped because the extra is missing."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    lacking = sum(EXTRA in reason for reason in skipped)
    if lacking:
        line = f"CUDA's driver is NOT tested, nor kernels' registers, for want of an extra: {lacking} skipped"
        terminalreporter.write_sep("=", line, yellow=True, bold=True)
        terminalreporter.write_line("pip install -e '.[test-cuda]', then pytest -m cuda")


def pytest_collection_modifyitems(config, items):
    """Mark tests that need the extra, and as slow what compiles the same code as quicker tests for another case.

    Threaded kernels for float64, or other indices, are such cases; so are those that `quick_cases` does not name.
    """
    numbers: Counter[tuple[str, str]] = Counter()
    for item in items:
        if needs_extra(item):
            item.add_marker(pytest.mark.cuda)
        params = item.callspec.params if hasattr(item, "callspec") else {}
        other = params.get("dtype") is np.float64 or params.get("index_dtype") is np.int64
        threaded_twice = other and params.get("threads") in (2, "threaded") and item.module.__name__ in TWICE
        quick = is_quick(numbers, item.module.__name__, getattr(item, "originalname", item.name), params)
        if threaded_twice or not quick:
            item.add_marker(pytest.mark.slow)
    _deselect_other_shares(config, items)


def _deselect_other_shares(config, items):
    """Keep the cases that `--share` names; the slow cases of a test are numbered apart from its quick ones."""
    number, of = config.getoption("share")
    cases = defaultdict(list)
    for item in items:
        test = item.parent.nodeid, getattr(item, "originalname", item.name)
        cases[test, item.get_closest_marker("slow") is not None].append(item)
    chosen = {item for all_cases in cases.values() for item in all_cases[number % len(all_cases) :: of]}
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]
