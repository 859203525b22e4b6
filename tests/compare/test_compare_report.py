"""The report: one page, which is whole without its script, and whose script draws what the page shows."""

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from fastadagrad.compare import Problem, Task, compare, drawing, panels, report, report_tables
from fastadagrad.compare.material import Material
from fastadagrad.compare.result_table import how_it_ended
from fastadagrad.compare.verdict import Entry

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

METHODS = ["sgd", "adagrad", "cocob", "adam", "rmsprop", "ftrl", "sgd:momentum=0.9,nesterov=1"]
OPTIONS = {"jobs": 0, "rates": "0.01:1:3", "seeds": 3, "epochs": 3, "extend": False}


class Page(HTMLParser):
    """Whether tags are closed, what a page asks for, and its text but for scripts and styles."""

    VOID = ("meta", "input", "br", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.texts, self.tags, self.code = [], [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.code.setdefault(self.open[-1], []).append(data)
        else:
            self.texts.append(data)

    def count(self, tag, **attributes):
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)


def scored(seed):
    """A bowl with a score, and a loss that is known to be 0 at best."""

    def loss(w, x):
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]

    start = np.random.default_rng(seed).standard_normal(2)
    parts = {"train": [np.arange(4.0)], "batch_size": 2, "epochs": 3}
    return Task(params=start, loss=loss, best=0.0, score=lambda w, x: -float(w @ w), score_name="closeness", **parts)


def compared(problems, methods, folder, **options):
    """A comparison and its page, without the files of its figures, which take longest."""
    found = compare(problems, methods, out=folder, report=False, **{**OPTIONS, **options})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_pictures", lambda folder, material: None)
        report.write_report(folder, Material(found.plan, found.runs, found.lines), found.about)
    return found, (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "<b>&"
    return compared(["rosenbrock", Problem("bowl", scored)], METHODS, folder)


def test_it_is_one_page_that_loads_nothing(made):
    found, text = made
    page = Page(text)
    assert page.open == []
    beside = [source for source in page.sources if not source.startswith("#")]
    assert sorted(beside) == ["benchopt.parquet", "results.csv", "results.json", "results.parquet"]
    assert all((found.folder / name).exists() for name in beside)
    assert all(text.count(f'id="{source[1:]}"') == 1 for source in page.sources if source.startswith("#"))
    assert not re.search(r"https?:|[\"'(]//[a-z]|@import|url\(|<img|fetch\(|XMLHttp|import\(", text)
    assert page.count("meta", name="viewport") == 1
    assert "prefers-color-scheme: dark" in text
    [_, _] = page.code["script"]


def test_it_says_all_without_its_script(made):
    found, text = made
    page = Page(text)
    words = " ".join(page.texts)
    assert html_of(found.verdict.sentence) in text
    for word in (*METHODS, "bowl", "needs no rate", np.__version__, found.about["processor"], "Mor\u00e9"):
        assert word in words
    for problem in ("rosenbrock", "bowl"):
        for line in (line for line in found.lines if line.problem == problem):
            assert (f"{line.final.median:.4g}" if math.isfinite(line.final.median) else "diverged") in words
    assert page.count("table") == 2 + 2
    assert page.count("svg", **{"class": "panel"}) == 2 + 2 * 2
    assert page.count("circle", **{"class": "from"}) == len(METHODS)
    names = re.findall(r'<text class="name"[^>]*>([^<]*)</text>', text)
    assert len(names) == 6 * len(METHODS)
    assert "sgd" in names
    assert "sgd:momentu\u2026" in names
    assert all(what["hidden"] is None for _, what in page.tags if "data-script" in what)


def html_of(text):
    return text.replace("&", "&amp;").replace("'", "&#x27;")


def test_five_methods_have_a_colour(made):
    _, text = made
    for panel in re.findall(r'<svg class="panel".*?</svg>', text, re.DOTALL):
        colours = re.findall(r'<g class="curve (\w+)"', panel)
        assert sorted(colours) == ["c0", "c1", "c2", "c3", "c4", "grey", "grey"]


def test_what_the_script_reads(made):
    found, text = made
    data = json.loads(Page(text).code["script"][0])
    assert data["methods"] == METHODS
    assert len(data["panels"]) == 6
    material = Material(found.plan, found.runs, found.lines)
    panel = data["panels"][4]  # the curves of the second problem
    assert [axis["name"] for axis in panel["xs"]] == ["epochs", "seconds"]
    assert [axis["name"] for axis in panel["ys"]] == ["gap", "loss", "score"]
    assert panel["ys"][2]["label"] == "closeness"
    for series, (method, runs) in zip(panel["series"], material.chosen("bowl"), strict=True):
        assert METHODS[series["method"]] == method.label
        losses = [float(f"{np.median([run.valid[i] for run in runs]):.4g}") for i in range(4)]
        assert series["ys"][1][1] == losses
        assert series["ys"][2][1] == [float(f"{np.median([run.scores[i] for run in runs]):.4g}") for i in range(4)]


def points(path):
    """The numbers of a path's data."""
    return [float(x) for x in re.findall(r"-?[\d.]+", path)]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run the report's script")
def test_the_script_draws_as_the_page_does(made):
    """The script's own placing of each panel's first axes is the page's, to a tenth of a unit."""
    _, text = made
    data, script = Page(text).code["script"]
    placing = script[script.index("// ---- places of values") : script.index("function made(")]
    program = (
        f"const {{ methods, panels, box }} = {data};\n"
        "const FRAME_RIGHT = box.width - box.right, FLOOR = box.height - box.bottom;\n"
        f"const chosen = {{ x: null, y: null, scale: null }};\n{placing}\n"
        "console.log(JSON.stringify(panels.map((panel) => panel.series.map((series) => "
        "pathOf(pointsOf(panel, series, view(panel), 1))))));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    drawn = re.findall(r'<svg class="panel".*?</svg>', text, re.DOTALL)
    for panel, shown, computed in zip(json.loads(data)["panels"], drawn, json.loads(done.stdout), strict=True):
        lines = dict(re.findall(r'data-method="(\d+)".*?<path class="line" d="([^"]*)"', shown, re.DOTALL))
        for series, path in zip(panel["series"], computed, strict=True):
            there = points(lines[str(series["method"])])
            np.testing.assert_allclose(points(path), there, atol=0.11)


def test_names_are_escaped(tmp_path):
    def make(seed):
        return Task(params=np.ones(2), loss=lambda w: (w @ w, 2 * w), epochs=2)

    found = compare([Problem("<i>&/..</script>", make)], ["sgd"], out=tmp_path, **OPTIONS)
    page = (found.folder / "report.html").read_text()
    assert "<i>" not in page
    assert page.count("</script>") == 2
    assert "<h2>&lt;i&gt;&amp;/..&lt;/script&gt;</h2>" in page
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"_i___..__script_-epochs.svg"}


def test_few_pairs_make_no_profile(tmp_path):
    found, text = compared("quadratic:10", ["sgd", "adagrad"], tmp_path)
    material = Material(found.plan, found.runs, found.lines)
    assert [*panels.overview(material)] == []
    assert "All problems" not in text


def test_a_method_without_a_rate_alone(tmp_path):
    found = compare("quadratic:10", ["cocob"], out=tmp_path, **OPTIONS)
    material = Material(found.plan, found.runs, found.lines)
    [panel] = panels.of_problem(material, "quadratic-10")
    assert [*panel.xs] == ["epochs", "seconds"]
    assert "cocob" in (tmp_path / "report.html").read_text()


def test_all_that_diverges_is_in_the_upper_band(tmp_path):
    methods = ["sgd", "sgd:momentum=0.9"]
    found, text = compared("rosenbrock", methods, tmp_path, rates=[1e3, 1e4], seeds=2, epochs=2)
    material = Material(found.plan, found.runs, found.lines)
    gap = panels.curves(material, "rosenbrock").ys["gap"]
    assert all(scale.above for scale in gap.scales)
    assert "more than 2, or diverged" in text
    assert text.count("diverged<") >= 2
    assert not re.search(r"NaN|Infinity|\binf\b|\bnan\b", "".join(Page(text).code["script"][0]))
    assert not re.search(r'[" ,L]-?(inf|nan)\b', "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL)))


def test_a_loss_below_zero_has_a_linear_axis_only(tmp_path):
    def make(seed):
        start = np.random.default_rng(seed).standard_normal(2)
        return Task(params=start, loss=lambda w: (w @ w - 5, 2 * w), epochs=2, updates=3)

    found, _ = compared([Problem("below", make)], ["sgd", "adagrad"], tmp_path)
    axes = panels.curves(Material(found.plan, found.runs, found.lines), "below").ys
    assert [scale.log for scale in axes["loss"].scales] == [False]
    assert [scale.log for scale in axes["gap"].scales] == [True, False]


@pytest.mark.parametrize("count", [1, 2, 160, 161, 5000])
def test_long_lines_are_thinned(count):
    kept = panels.thinned(count)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) == min(count, panels.MOST_POINTS)
    assert kept == sorted({*kept})


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-300), (0.0, 3.0), (-5.0, 7e9), (0.2, 0.2001), (0.0, 1.0)])
def test_linear_ticks_are_few_and_within(low, high):
    ticks = panels.linear_ticks(low, high)
    assert 1 <= len(ticks) <= panels.MOST_TICKS
    assert all(low - 1e-9 * (high - low) <= tick <= high + 1e-9 * (high - low) for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(1e-6, 2.0), (1.0, 1.5), (0.3, 0.9), (1e-12, 1e9), (1.0, 2.2)])
def test_logarithmic_ticks_are_few_and_within(low, high):
    ticks = panels.log_ticks(low, high)
    assert len(ticks) <= 2 * panels.MOST_TICKS
    assert all(low * (1 - 1e-9) <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_names_that_are_cut_differ():
    looks = drawing.looks_of(["adam:beta2_halflife=10", "adam:beta2_halflife=100", "adam:beta2_halflife=1000"], ["sgd"])
    assert len({*looks.names.values()}) == 3
    assert all(len(name) <= drawing.LONGEST_NAME for name in looks.names.values())


@pytest.mark.parametrize("count", [1, 14, 60])
def test_names_are_apart_even_where_there_are_many(count):
    heights = drawing.apart([0.5] * count, 0.05)
    assert np.diff(heights).min(initial=1) >= 0.05 - 1e-12
    assert min(heights) >= 0
    assert max(heights) <= 1 or count > 21


def test_cells_sort_by_their_numbers():
    cells = [report_tables.Cell("x", key).written("td") for key in (1.5, math.inf, 1e-9)]
    assert [re.search('data-key="([^"]*)"', cell)[1] for cell in cells] == ["1.5", "1e308", "1e-09"]


def test_parts_of_the_page_are_installed():
    assert ":root" in report.part_of("report.css")
    assert "use strict" in report.part_of("report.js")


@pytest.mark.parametrize(("counted", "said"), [(2, "diverged"), (1, "diverged"), (0, "failed")])
def test_it_says_of_an_infinite_loss_what_the_terminal_says(counted, said):
    entry = Entry("p", "sgd", 2, math.inf, None, None, math.inf, None, None, "", 3, 3, 6, counted, 2)
    assert report_tables._gap(entry).content == how_it_ended(entry) == said
