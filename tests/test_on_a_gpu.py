"""The program for machines with a GPU, run without one: what it times, on the stand-in driver, and what it reports."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gpu import why_no_hardware
from places import ROOT

FOLDER = ROOT / "bench" / "on_a_gpu"


@pytest.fixture
def driver(monkeypatch):
    import stand_in

    monkeypatch.syspath_prepend(str(FOLDER))
    with stand_in.installed(monkeypatch) as found:
        yield found
        for name in ("clock", "races", "tables"):
            sys.modules.pop(name, None)


@pytest.fixture
def no_peers(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.mark.cuda
@pytest.mark.parametrize(("name", "tables"), [("dense", 1), ("many", 1), ("rows", 3)])
def test_each_race(driver, no_peers, monkeypatch, name, tables):
    import races
    from races import COPY, RACES, Card
    from tables import table

    from fastadagrad.device.backend import backend_at

    monkeypatch.setattr(races, "QUICK_ROWS", (700, 8, 60))  # the interpreter takes its time
    found = list(RACES[name](Card(backend_at(0), quick=True)))
    assert len(found) == tables
    for race in found:
        assert race.times[0].name == COPY
        assert {"dense": 6, "many": 4, "rows": 3}[name] == len(race.times)
        assert all("takes no part" in reason for reason in race.absent)
        lines = table(race).splitlines()
        assert lines[0] == f"| {race.work} | GPU, us | host, us | GB/s | of a copy |"
        assert lines[2].endswith("| 1.00 |")


@pytest.mark.cuda
def test_a_first_step_that_is_not_the_hosts_is_told(driver, no_peers):
    from races import Card, require_host

    import fastadagrad as fa
    from fastadagrad.device.backend import backend_at

    card, options = Card(backend_at(0), quick=True), {"learning_rate": 0.1}
    table, v = np.zeros((3, 4), np.float32), np.ones(9, np.float32)
    for start, gradient in ((table, fa.Rows(np.array([1]), np.ones((1, 4), np.float32))), (v, v)):
        with pytest.raises(ValueError, match="not that of the host"):
            require_host(card.put(start), start, gradient, options)


@pytest.mark.cuda
@pytest.mark.slow
def test_the_quick_rows_are_several_tiles(driver, no_peers):
    from races import QUICK_ROWS, RACES, Card

    from fastadagrad.device.backend import backend_at
    from fastadagrad.kernels.cuda.coalesce import tiles_of

    assert tiles_of(QUICK_ROWS[2]) > 4
    assert len(list(RACES["rows"](Card(backend_at(0), quick=True)))) == 3


@pytest.mark.skipif(why_no_hardware() is None, reason="there is a GPU")
def test_without_a_gpu_the_report_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, FOLDER, "--out", tmp_path, "--only", "dense"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stdout.startswith("dense: status 1")
    report = (tmp_path / "report.md").read_text()
    assert report.startswith("# no card (")
    assert "RuntimeError: device arrays need" in (tmp_path / "dense.txt").read_text()
    assert "- dense: status 1" in report


def test_a_report_has_the_tables_of_what_has_run(tmp_path, monkeypatch):
    """A folder may have those of an earlier run."""
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    from on_a_gpu.__main__ import NO_TIME, report

    for name in ("dense", "many", "rows"):
        (tmp_path / f"{name}.txt").write_text(f"the table of {name}")
    found = report(tmp_path, {"dense": "status 0, 1 s", "many": NO_TIME})
    assert "the table of dense" in found
    assert "the table of many" not in found
    assert "the table of rows" not in found
    assert found.endswith("- dense: status 0, 1 s\n- many: no time left\n\n")


def test_parts_run_the_code_of_the_checkout(tmp_path, monkeypatch):
    """Whether or not one is installed, and whatever the current folder is."""
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    from on_a_gpu.__main__ import Part, run

    if not (ROOT / "fastadagrad" / "kernels").exists():
        pytest.skip("no checkout: an sdist has the kernels elsewhere")
    monkeypatch.chdir(tmp_path)
    code = "import fastadagrad.device; print(fastadagrad.__file__)"
    assert run(Part("where", [sys.executable, "-c", code], 60), tmp_path, 60).startswith("status 0, ")
    assert (tmp_path / "where.txt").read_text().strip() == str(ROOT / "fastadagrad" / "__init__.py")


def test_parts_end_at_their_limits_with_all_that_they_have_begun(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    from on_a_gpu.__main__ import Part, run

    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    ended = run(Part("slow", [sys.executable, "-c", code], 60), tmp_path, left=3)
    assert ended.startswith("ended at its limit, ")
    child = int((tmp_path / "slow.txt").read_text())
    for _ in range(100):  # until whoever adopts orphans has noticed
        if not Path(f"/proc/{child}/stat").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail("a process that the part had begun is still there")
