"""The folder of a comparison: its journal, and the files made of it."""

import csv
import json
import math

import numpy as np
import pytest

from fastadagrad.compare import Problem, results
from fastadagrad.compare.contenders import contender_named
from fastadagrad.compare.grid import Cell, Plan
from fastadagrad.compare.journal import Journal
from fastadagrad.compare.results import COLUMNS, command_line, open_folder, read_json, tidy, write_json
from fastadagrad.compare.running import Run

INF = math.inf
PLAN = Plan((Problem("p", lambda seed: None),), (contender_named("sgd"), contender_named("cocob")), (0.1,), 2, {"p": 2})


def run(method, seed, *valid):
    rate = None if method == "cocob" else 0.1
    return Run(Cell("p", "", method, seed, rate, len(valid) - 1), 5, valid, valid[:1] + valid[:-1], (0.0, 0.25, 1 / 3))


RUNS = [run("sgd", 0, 1.0, 0.1 + 0.2, 1e-300), run("cocob", 0, 2.0, 1.5, INF), run("sgd", 1, 1.0, INF, INF)]


def written(path, runs=RUNS):
    journal = Journal(path)
    for one in runs:
        journal.append(one)
    journal.close()
    return path


def test_what_is_written_is_read(tmp_path):
    path = written(tmp_path / "runs.jsonl")
    assert list(Journal(path).read().values()) == RUNS
    assert Journal(tmp_path / "none.jsonl").read() == {}
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_made_again(tmp_path, cut):
    path = written(tmp_path / "runs.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal = Journal(path)
    assert list(journal.read().values()) == RUNS[:2]
    journal.append(RUNS[2])
    journal.close()
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path):
    path = written(tmp_path / "runs.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    for wrong in ("{}\n", "[1]\n", lines[1].replace("2.0, 1.5", "2.0")):
        path.write_text(lines[0] + wrong + lines[2])
        with pytest.raises(ValueError, match=r"runs\.jsonl, line 2 is damaged"):
            Journal(path).read()


def test_a_folder_is_taken_up_by_the_same_versions_only(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    journal, done = open_folder(folder, PLAN)
    assert done == {}
    journal.append(RUNS[0])
    journal.append(run("adam", 0, 3.0, 2.0, 1.0))  # of another plan
    journal.close()
    assert open_folder(folder, PLAN)[1] == {RUNS[0].cell: RUNS[0]}
    stored = json.loads((folder / "plan.json").read_text())
    assert stored["plan"]["methods"] == {
        "sgd": {"method": "sgd", "rate_free": False},
        "cocob": {"method": "cocob", "rate_free": True},
    }
    monkeypatch.setattr(results, "machine", lambda: {**stored["machine"], "numpy": "1.2.3"})
    with pytest.raises(ValueError, match=r"runs made otherwise \(numpy .* there, 1\.2\.3 here\): choose another"):
        open_folder(folder, PLAN)
    (folder / "plan.json").write_text("{")
    with pytest.raises(ValueError, match=r"plan\.json is damaged"):
        open_folder(folder, PLAN)
    (folder / "plan.json").unlink()
    with pytest.raises(ValueError, match=r"there is no plan\.json"):
        open_folder(folder, PLAN)


def test_a_problem_that_has_changed_is_run_anew(tmp_path):
    journal, _ = open_folder(tmp_path, PLAN)
    journal.append(RUNS[0])
    journal.close()
    changed = Plan((Problem("p", lambda seed: None, identity="other"),), PLAN.methods, PLAN.rates, 2, PLAN.epochs)
    assert open_folder(tmp_path, changed)[1] == {}


def test_csv_and_parquet_are_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    results.write_csv(tmp_path / "r.csv", RUNS)
    results.write_parquet(tmp_path / "r.parquet", RUNS)
    table = parquet.read_table(tmp_path / "r.parquet")
    with open(tmp_path / "r.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == tuple(table.column_names) == COLUMNS
    assert len(rows) == table.num_rows == 9
    for row, stored in zip(rows, table.to_pylist(), strict=True):
        values = [None if x == "" else x if k < 2 else float(x) for k, x in enumerate(row)]
        assert values == list(stored.values())
    assert rows[5] == ["p", "cocob", "0", "", "2", "10", repr(1 / 3), "1.5", "inf", ""]


def test_pandas_reads_both(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    results.write_csv(tmp_path / "r.csv", RUNS)
    results.write_parquet(tmp_path / "r.parquet", RUNS)
    one, other = pandas.read_csv(tmp_path / "r.csv"), pandas.read_parquet(tmp_path / "r.parquet")
    assert list(one.columns) == list(other.columns)
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], other[name].astype(one[name].dtype))


def test_tidy_rows_are_epochs():
    assert list(tidy(RUNS[:1])) == [
        ("p", "sgd", 0, 0.1, 0, 0, 0.0, 1.0, 1.0, None),
        ("p", "sgd", 0, 0.1, 1, 5, 0.25, 1.0, 0.1 + 0.2, None),
        ("p", "sgd", 0, 0.1, 2, 10, 1 / 3, 0.1 + 0.2, 1e-300, None),
    ]


def test_json_is_replaced_as_a_whole(tmp_path):
    write_json(tmp_path / "x.json", {"\u00e9": [INF]})
    assert read_json(tmp_path / "x.json") == {"\u00e9": [None]}
    assert read_json(tmp_path / "y.json") is None


def test_the_machine():
    found = results.machine()
    assert found["numpy"] == np.__version__
    assert found["processor"]
    assert found["cores"] >= 1


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/usr/bin/fastadagrad", "compare", "digits"], ["fastadagrad", "compare", "digits"]),
        (["/site-packages/fastadagrad/__main__.py", "compare"], ["fastadagrad", "compare"]),
        (["study.py"], ["study.py"]),
        ([""], []),
        ([], []),
    ],
)
def test_the_command_is_one_that_can_be_given_again(argv, told, monkeypatch):
    monkeypatch.setattr("sys.argv", argv)
    assert command_line() == told
