"""`fastadagrad plan`: what options mean, what is refused, and that its numbers are the model's."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import run

import fastadagrad as fa
from fastadagrad.cli import quantities
from fastadagrad.mpi.cost import Job, cost_of
from fastadagrad.optimizer.building import METHODS


def planned(capsys, *arguments):
    status, out, err = run(capsys, "plan", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def refused(capsys, *arguments):
    """The last line of what a refused command says; it has printed nothing else."""
    try:
        status, out, err = run(capsys, "plan", *arguments)
    except SystemExit as leaving:
        status, (out, err) = leaving.code, capsys.readouterr()
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_numbers_are_the_models(capsys):
    how = ("--params", "100M", "--arrays", 3, "--rows", 65_536, "--width", 64, "--table-rows", "10M", "--read-rows", 0)
    found = planned(capsys, *how, "--ranks", "8,1,8", "--bandwidth", "25Gbit/s", "--latency", "2us")
    of_rows = {"rows": 65_536, "width": 64, "table_rows": 10_000_000, "read_rows": 0}
    machine = {"bandwidth": 25e9 / 8, "latency": 2e-6, "memory_bandwidth": 20e9}
    assert [line["ranks"] for line in found["lines"]] == [1, 8]
    for line in found["lines"]:
        cost = cost_of(Job(line["ranks"], **machine, params=100_000_000, arrays=3, **of_rows))
        assert line == {**vars(cost), "seconds": cost.seconds, "memory_bytes": cost.memory_bytes}


def test_a_table_for_people(capsys):
    status, out, err = run(capsys, "plan", "--params", "1e6", "--ranks", "1,4")
    assert (status, err) == (0, "")
    about, machine, _, names, alone, four, *_ = out.splitlines()
    assert about == "adagrad, float32: 1,000,000 parameters with dense gradients in a step"
    assert machine == "a process: 12.5 GB/s to others, 5 us a message, 20 GB/s in memory"
    assert names.split()[:3] == ["ranks", "sent", "messages"]
    assert alone.split()[:3] == ["1", "0", "0"]
    assert four.split()[:3] == ["4", "6", "MB"]


def test_the_page_shows_what_is_printed(capsys):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "mpi.md").read_text()
    command, shown = re.search(r"```bash\nfastadagrad (plan .*)\n```\n\n```text\n(.*?)```", page, re.DOTALL).groups()
    assert run(capsys, *command.split()) == (0, shown, "")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].__module__.startswith("fastadagrad")])
def test_the_state_is_that_of_the_method(capsys, method, dtype):
    found = planned(capsys, "--params", 5000, "--ranks", 1, "--method", method, "--dtype", dtype)
    opt = fa.build(method, params=np.zeros(5000, dtype))
    state = sum(slot.nbytes for slots in opt.state.values() for slot in slots.values())
    assert (found["lines"][0]["state_bytes"], found["item_bytes"]) == (state, np.dtype(dtype).itemsize)


def test_momentum_adds_a_velocity(capsys):
    plain, moved = (planned(capsys, "--params", 100, "--momentum", momentum) for momentum in (0, 0.9))
    assert moved["slot_bytes"] == plain["slot_bytes"] + 4


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("4096", 4096), ("1e9", 10**9), ("2.3M", 2_300_000), ("7B", 7 * 10**9), ("1 k", 1000)],
)
def test_counts(text, number):
    assert quantities.count(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e9", 1e9),
        ("12.5GB/s", 12.5e9),
        ("100Gbit/s", 12.5e9),
        ("1GiB/s", 2.0**30),
        ("800 kbit/s", 1e5),
        (".5MB/s", 5e5),
    ],
)
def test_bandwidths(text, number):
    assert quantities.bandwidth(text) == number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0.0), ("5us", 5e-6), ("2.5e-6", 2.5e-6), ("3 ms", 3e-3), ("1ns", 1e-9)]
)
def test_times(text, number):
    assert quantities.seconds(text) == number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--params", "1.5"], "argument --params: must be a whole number, such as 4096, 1e9 or 100M, not '1.5'"),
        (["--params", "many"], "argument --params: must be a whole number"),
        (["--params", "-5"], "argument --params: must be a whole number"),
        (["--params", "1e19"], "argument --params: must be a whole number"),
        (["--params", "nan"], "argument --params: must be a whole number"),
        (["--ranks", "0"], "argument --ranks: must be at least 1, not '0'"),
        (["--ranks", "1,,2"], "argument --ranks: must be a whole number"),
        (["--width", "0"], "argument --width: must be at least 1"),
        (["--bandwidth", "0"], "argument --bandwidth: must be at least 1, in bytes a second or with a unit"),
        (["--bandwidth", "10Gb/s"], "argument --bandwidth: must be at least 1, in bytes a second or with a unit"),
        (["--memory-bandwidth", "1e400"], "argument --memory-bandwidth: must be at least 1"),
        (["--latency", "5 hours"], "argument --latency: must be at most an hour, in seconds or with a unit"),
        (["--method", "adgrad"], "argument --method: there is no method 'adgrad': did you mean 'adagrad'?"),
        (["--momentum", "1"], "momentum must be below 1"),
        (["--method", "rda", "--momentum", "0.5"], "momentum would have no effect"),
        (["--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["--param", "5"], "unrecognized arguments: --param"),
        (["--arrays", "200"], "--arrays must be at most --params, 100, not 200"),
        (["--width", "4"], "--width is about rows: give --rows N, too"),
        (["--read-rows", "4"], "--read-rows is about rows: give --rows N, too"),
        (["--table-rows", "4"], "--table-rows is about rows: give --rows N, too"),
        (["--sharded"], "--sharded is about rows: give --rows N, too"),
        (["--rows", "8", "--table-rows", "0"], "argument --table-rows: must be at least 1, not '0'"),
        (["--plot", "scaling.txt"], "a figure's file must end in .png, .svg or .pdf"),
        (["--plot", "nowhere/scaling.png"], "No such file or directory"),
    ],
)
def test_nonsense_is_refused_by_name(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "--params", "100", *arguments)
    assert not list(tmp_path.iterdir())


def test_nothing_to_step_is_refused(capsys):
    assert "give --params N for dense gradients, or --rows N and --width N" in refused(capsys)
    assert "--arrays is about dense gradients" in refused(capsys, "--rows", 8, "--arrays", 2)


@pytest.mark.parametrize("largest", [4, 5000])
def test_a_picture(capsys, tmp_path, largest):
    path = tmp_path / "scaling.svg"
    found = planned(capsys, "--params", "1M", "--rows", 100, "--ranks", f"1,{largest}", "--plot", path)
    assert found["plot"] == str(path)
    assert "</svg>" in path.read_text()
    status, out, _ = run(capsys, "plan", "--params", "1M", "--ranks", 1, "--plot", path)
    assert (status, out.splitlines()[-1]) == (0, f"picture: {path}")


def test_a_picture_needs_matplotlib(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "a figure needs matplotlib" in refused(capsys, "--params", 5, "--plot", tmp_path / "x.png")
