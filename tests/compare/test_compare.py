"""Whole comparisons."""

import base64
import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from fastadagrad.compare import Problem, Task, comparison, figures, making
from fastadagrad.compare import compare as run_comparison
from fastadagrad.compare.figures import Material
from fastadagrad.compare.summary import bounds_of

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

OWN = "problems_of_mine.py"
SOURCE = """
import time
import numpy as np
from fastadagrad.compare import Task

SLEEP = 0.0

def bowl(seed):
    def loss(w):
        time.sleep(SLEEP)
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]
    return Task(params=np.random.default_rng(seed).standard_normal(2), loss=loss, updates=2, epochs=3)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / OWN).write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "problems_of_mine:bowl"
    sys.modules.pop("problems_of_mine", None)


def compare(*args, **kwargs):
    return run_comparison(
        *args, **{"jobs": 0, "report": False, "rates": "0.01:1:3", "seeds": 2, "extend": False, **kwargs}
    )


def curves(found):
    return {run.cell: (run.valid, run.train) for run in found.runs}


def test_any_number_of_jobs_gives_the_same_bits(tmp_path, own):
    problems, methods = [own, "quadratic:100"], ["adagrad", "cocob"]
    here, there = (
        compare(problems, methods, out=tmp_path / str(jobs), jobs=jobs, epochs=2, rates=[0.1]) for jobs in (0, 2)
    )
    assert curves(here) == curves(there)
    assert len(here.runs) == 2 * 2 * 2
    for name in ("results.csv", "results.json", "results.parquet", "runs.jsonl", "plan.json", "costs.json"):
        assert (tmp_path / "2" / name).stat().st_size > 0


def test_the_budget_is_equal(tmp_path):
    found = compare("rosenbrock", ["sgd", "adam"], out=tmp_path, epochs=4)
    assert {len(run.valid) for run in found.runs} == {5}
    assert {run.steps_an_epoch for run in found.runs} == {10}
    assert [len({run.valid[0] for run in found.runs if run.cell.seed == seed}) for seed in (0, 1)] == [1, 1]


def test_only_what_is_missing_is_run(tmp_path, monkeypatch):
    ran = []
    real = making.run_here

    def counted(cells, problems, methods):
        cells = list(cells)
        ran.append(len(cells))
        return real(cells, problems, methods)

    monkeypatch.setattr(making, "run_here", counted)
    first = compare("quadratic:10", ["sgd", "adagrad"], out=tmp_path, epochs=2)
    again = compare("quadratic:10", ["sgd", "adagrad"], out=tmp_path, epochs=2)
    assert ran == [12]
    assert (again.runs, again.lines) == (first.runs, first.lines)  # times and costs too
    more = compare("quadratic:10", ["sgd", "adagrad", "adam"], out=tmp_path, epochs=2, seeds=3)
    assert ran == [12, 27 - 12]
    assert curves(more).items() >= curves(first).items()
    with pytest.raises(ValueError, match="27 runs, 27 of which are not of this comparison and would be lost"):
        compare("quadratic:10", ["sgd"], out=tmp_path, epochs=3, seeds=1)  # another budget
    assert ran == [12, 15]


class Killed(BaseException):
    pass


def test_killed_and_taken_up_it_has_the_same_bits(tmp_path, monkeypatch):
    whole = compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "whole", epochs=2)
    real = making.run_here

    def killed(cells, problems, methods):
        for number, run in enumerate(real(cells, problems, methods)):
            if number == 7:
                raise Killed
            yield run

    monkeypatch.setattr(making, "run_here", killed)
    with pytest.raises(Killed):
        compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "cut", epochs=2)
    journal = tmp_path / "cut" / "runs.jsonl"
    assert len(journal.read_bytes().splitlines()) == 7
    journal.write_bytes(journal.read_bytes()[:-11])
    monkeypatch.setattr(making, "run_here", real)
    assert curves(compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "cut", epochs=2)) == curves(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_keeps_what_is_finished(tmp_path, own, name):
    (tmp_path / OWN).write_text(SOURCE.replace("SLEEP = 0.0", "SLEEP = 0.02"))
    options = ["--methods", "sgd", "--seeds", "50", "--jobs", "2", "--quiet"]
    command = [sys.executable, "-m", "fastadagrad", "compare", own, *options]
    journal = tmp_path / "comparison" / "runs.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            end = time.monotonic() + 300  # kernels may have to be compiled first, in several processes
            while time.monotonic() < end and not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            else:
                process.terminate()
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    finished = journal.read_bytes().count(b"\n")
    assert 2 < finished < 550
    assert f"{finished} of 550 runs are kept in comparison" in errors
    assert errors.count("\n") == 2
    assert "Traceback" not in errors


class Reader(HTMLParser):
    """Whether tags are closed, and what a page asks for."""

    VOID = ("meta", "img")

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.texts, self.counts = [], [], [], {}

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_report_is_one_file(tmp_path, own):
    methods = ["sgd", "adagrad", "cocob"]
    found = compare([own, "rosenbrock"], methods, out=tmp_path / "<b>&", epochs=3, report=True)
    page = (found.folder / "report.html").read_text()
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.counts["table"] == 2
    assert reader.counts["img"] == 2 + 3 + 4
    assert all(source.startswith("data:image/svg+xml;base64,") for source in reader.sources)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", page))
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    pictures = [base64.b64decode(source.partition(",")[2]) for source in reader.sources]
    files = [path.read_bytes() for path in (found.folder / "figures").glob("*.svg")]
    assert sorted(pictures) == sorted(files)
    assert all(b"</svg>" in picture for picture in pictures)
    for path in (found.folder / "figures").glob("*.svg"):
        small = path.with_suffix(".png").read_bytes()
        assert small.startswith(b"\x89PNG")
        assert len(small) < 100_000
    text = "".join(reader.texts)
    for word in (*methods, "bowl", "needs no rate", np.__version__, found.about["processor"], "Mor\u00e9"):
        assert word in text


def test_names_are_escaped_in_the_report(tmp_path):
    def make(seed):
        return Task(params=np.ones(2), loss=lambda w: (w @ w, 2 * w), epochs=2)

    found = compare([Problem("<i>&/..", make)], ["sgd"], out=tmp_path, report=True)
    page = (found.folder / "report.html").read_text()
    assert "<i>" not in page
    assert "<h2>&lt;i&gt;&amp;/..</h2>" in page
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"_i___..-epochs.svg"}


LONG = "sgd:momentum=0.9,nesterov=1"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    methods = ["sgd", "adagrad", "cocob", LONG]
    found = compare(
        ["rosenbrock", "factorisation"], methods, out=tmp_path_factory.mktemp("m"), rates="1e-3:10:5", epochs=4
    )
    return Material(found.plan, found.runs, found.lines)


def test_figures_show_what_was_measured(material):
    figure = figures.by_epochs(material, "factorisation")
    [axes] = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
    assert set(lines) == {"sgd", "adagrad", "cocob", LONG}
    assert {text.get_text() for text in axes.texts} == set(lines)
    bounds = bounds_of(run for run in material.runs if run.cell.problem == "factorisation")
    for method, runs in material.chosen("factorisation"):
        x, y = lines[method.label].get_data()
        assert list(x) == [0, 1, 2, 3, 4]
        for epoch in x:
            gaps = [bounds[run.cell.seed].gap(run.valid[epoch]) for run in runs]
            assert y[epoch] == pytest.approx(max(np.median(gaps), figures.LEAST_GAP / 10))
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "epochs"
    assert "left to gain" in axes.get_ylabel()
    styles = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines.values()]
    assert len({*styles}) == 4


def test_diverged_runs_do_not_stretch_the_axes(material):
    assert any(run.diverged for run in material.runs if run.cell.problem == "rosenbrock")
    for _, name, caption, figure in figures.figures(material):
        assert caption
        for axes in figure.axes:
            if axes.get_yscale() == "log":
                low, high = axes.get_ylim()
                assert figures.LEAST_GAP <= low < high <= figures.TOP, name
            assert all(math.isfinite(limit) for limit in (*axes.get_xlim(), *axes.get_ylim()))


def test_text_is_legible(material):
    """At 600 pixels wide, letters are at least 8 pixels high, and nothing sticks out."""
    for _, name, _, figure in figures.figures(material):
        figure.draw_without_rendering()
        scale = 600 / (figure.get_figwidth() * figure.dpi)
        for axes in figure.axes:
            if not axes.get_visible():
                continue
            for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts):
                if text.get_text():
                    assert text.get_fontsize() * figure.dpi / 72 * scale > 8
                    box = text.get_window_extent()
                    assert box.x0 >= 0, name
                    assert box.x1 <= figure.bbox.width, name
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= figure.bbox.width, name


def test_styles_of_many_methods_differ(tmp_path):
    methods = ["sgd", *(f"sgd:momentum=0.{k}" for k in range(1, 30))]
    plan = comparison.make_plan("quadratic", methods, [0.1], 1, 1)
    material = Material(plan, (), ())
    styles = [tuple(map(str, material.style(method).values())) for method in plan.methods]
    assert len({*styles}) == 30


def test_paths_lead_to_where_the_run_ended(material):
    [problem] = [problem for problem in material.plan.problems if problem.plane]
    for method, runs in material.chosen("rosenbrock"):
        points, loss = figures.path(problem, method, runs[0].cell.rate, 4)
        assert points.shape == (41, 2)
        assert loss == runs[0].final


def test_results_in_json(tmp_path):
    found = compare("quadratic:10", ["sgd", "cocob"], out=tmp_path, epochs=2)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["about"]["numpy"] == np.__version__
    assert stored["about"]["date"]
    assert stored["plan"]["rates"] == [0.01, 0.1, 1.0]
    assert [record["method"] for record in stored["table"]] == ["sgd", "cocob"]
    assert len(stored["runs"]) == len(found.runs) == 8
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for run in stored["runs"]:
        own = [row for row in rows if row["method"] == run["method"] and int(row["seed"]) == run["seed"]]
        last = [
            row
            for row in own
            if row["epoch"] == "2" and (run["rate"] is None or float(row["learning_rate"]) == run["rate"])
        ]
        assert [float(row["valid_loss"]) for row in last] == [run["final_loss"]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "seeds must be a whole number of at least 1, not 0"),
        ({"seeds": None}, "seeds must be a whole number of at least 1, not None"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"),
        ({"jobs": -1}, "jobs must be a whole number of at least 0, not -1"),
        ({"tau": 1}, "tau must be between 0 and 1, not 1"),
        ({"rates": "1:2"}, "rates must be LOW:HIGH:N"),
        ({"methods": []}, "methods: expected at least one"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare("quadratic", **{"methods": ["sgd"], **wrong}, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        compare("quadratic", ["sgd"], out=tmp_path / "file")
