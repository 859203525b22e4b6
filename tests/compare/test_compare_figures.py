"""The figures of a comparison that matplotlib draws, and their files."""

import math
import xml.etree.ElementTree as ET
from itertools import islice

import numpy as np
import pytest

from fastadagrad.compare import compare, comparison, figures, panels, path_panels, picture_files
from fastadagrad.compare.material import Material
from fastadagrad.compare.summary import LEAST_GAP, bounds_of

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

LONG = "sgd:momentum=0.9,nesterov=1"


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    methods = ["sgd", "adagrad", "cocob", LONG]
    folder = tmp_path_factory.mktemp("m")
    options = {"rates": "1e-3:10:5", "epochs": 4, "seeds": 2, "jobs": 0, "report": False, "extend": False}
    found = compare(["rosenbrock", "factorisation"], methods, out=folder, **options)
    return Material(found.plan, found.runs, found.lines)


def test_figures_show_what_was_measured(material):
    """The heights are those of the panel, whose numbers are the medians of the gaps."""
    panel = panels.curves(material, "factorisation")
    figure = figures.by_time(material, "factorisation", "epochs")
    [axes] = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
    assert set(lines) == {"sgd", "adagrad", "cocob", LONG}
    assert set(lines) <= {text.get_text() for text in axes.texts}
    bounds = bounds_of(run for run in material.runs if run.cell.problem == "factorisation")
    series = {each.method: each for each in panel.series}
    scale = panel.ys["gap"].scales[0]
    for method, runs in material.chosen("factorisation"):
        x, y = lines[method.label].get_data()
        assert list(x) == [0, 1, 2, 3, 4]
        for epoch in map(int, x):
            gaps = [bounds[run.cell.seed].gap(run.valid[epoch]) for run in runs]
            assert series[method.label].ys[0][1][epoch] == panels.rounded(np.median(gaps))
            assert y[epoch] == figures._placed(series[method.label].ys[0][1][epoch], scale)
    ticks = zip((text.get_text() for text in axes.get_yticklabels()), axes.get_yticks(), strict=True)
    assert all(place == pytest.approx(figures._placed(float(label), scale)) for label, place in ticks)
    assert axes.get_xlabel() == "epochs"
    assert "left to gain" in axes.get_ylabel()
    styles = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines.values()]
    assert len({*styles}) == 4


def test_no_line_leaves_its_frame(material):
    assert any(run.diverged for run in material.runs if run.cell.problem == "rosenbrock")
    names = []
    for name, figure in figures.figures(material):
        names.append(name)
        for axes in figure.axes:
            assert all(math.isfinite(limit) for limit in (*axes.get_xlim(), *axes.get_ylim()))
            if not axes.get_visible() or name.endswith("paths"):
                continue
            low, high = axes.get_ylim()
            for line in axes.get_lines():
                heights = np.asarray(line.get_ydata(), float)
                assert ((heights >= low) & (heights <= high)).all(), name
    assert names[:2] == ["profiles", "rates"]
    assert {"rosenbrock-paths", "factorisation-seconds"} <= {*names}


def test_text_is_legible(material):
    """At 600 pixels wide, letters are at least 8 pixels high, and nothing sticks out."""
    for name, figure in figures.figures(material):
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


def test_styles_of_many_methods_differ():
    methods = ["sgd", *(f"sgd:momentum=0.{k}" for k in range(1, 30))]
    plan = comparison.make_plan("quadratic", methods, [0.1], 1, 1)
    material = Material(plan, (), ())
    styles = [figures.style_of(material, method) for method in plan.methods]
    assert len({tuple(map(str, style.values())) for style in styles}) == 30
    assert sum(style["color"] != figures.GREY for style in styles) == 5


def test_adagrad_has_a_colour_even_where_it_is_not_among_the_best(tmp_path):
    methods = ["adagrad:rms_regularizer=1e8", "adagrad", "sgd", "adam", "rmsprop", "ftrl", "rda"]
    options = {
        "rates": [1e-9, 0.1],
        "epochs": 1,
        "seeds": 1,
        "jobs": 0,
        "report": False,
        "extend": False,
        "out": tmp_path,
    }
    found = compare("quadratic:10", methods, **options)
    material = Material(found.plan, found.runs, found.lines)
    assert len(material.emphasised) == 5
    assert "adagrad" in material.emphasised
    assert {*material.emphasised} <= {*methods}
    assert "adagrad:rms_regularizer=1e8" not in material.emphasised


def test_paths_lead_to_where_the_run_ended(material):
    [problem] = [problem for problem in material.plan.problems if problem.plane]
    for method, runs in material.chosen("rosenbrock"):
        points, loss = path_panels.path(problem, method, runs[0].cell.rate, 4)
        assert points.shape == (41, 2)
        assert loss == runs[0].final


def test_files_are_small_and_their_text_is_text(material, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "figures", lambda material: islice(figures.figures(material), 3))
    picture_files.write_pictures(tmp_path, material)
    svg = sorted((tmp_path / "figures").glob("*.svg"))
    assert [path.stem for path in svg] == ["profiles", "rates", "rosenbrock-epochs"]
    for path in svg:
        words = " ".join("".join(text.itertext()) for text in ET.parse(path).iter("{http://www.w3.org/2000/svg}text"))
        assert "adagrad" in words, path
        small = path.with_suffix(".png").read_bytes()
        assert small.startswith(b"\x89PNG")
        assert len(small) < 100_000


@pytest.mark.parametrize(("gap", "place"), [(LEAST_GAP / 9, -1.0), (1.0, 1.0), (math.inf, 2.0), (math.nan, 2.0)])
def test_places_on_a_scale(gap, place):
    scale = panels.Scale(True, LEAST_GAP, 1.0, (), below=True, above=True)
    assert scale.at(gap) == place
    assert scale.at(1e-3) == pytest.approx(0.5)
    within = panels.Scale(True, LEAST_GAP, 1.0, ())
    assert within.at(LEAST_GAP / 9) == 0.0
    assert within.at(1e9) == 1.0
