"""What an optimizer says of itself: as text, and in a notebook."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from runs import TRAIN, VALID, bowl, scripted
from wild import raising

import fastadagrad as fa


def test_a_fresh_one():
    assert repr(fa.ADAGRAD(params=np.zeros(3))) == "ADAGRAD(3 float64; step 0)"
    assert repr(fa.RProp(params=np.zeros((2, 5), np.float32))) == "RProp(10 float32; step 0)"


def test_hyperparameters_that_are_not_the_defaults():
    opt = fa.ADAGRAD(params=np.zeros(3), learning_rate=0.5, momentum=0.0, nonfinite="skip", threads=2)
    assert repr(opt) == "ADAGRAD(learning_rate=0.5, nonfinite='skip', threads=2; 3 float64; step 0)"
    opt.hyper.momentum = 0.25
    assert "momentum=0.25" in repr(opt)
    assert "learning_rate=scheduled" in repr(fa.ADAGRAD(params=np.zeros(3), learning_rate=scheduled))


def scheduled(t):
    return 0.5


def test_what_a_method_has_whatever_is_given_is_not_told():
    assert repr(fa.NAG(params=np.zeros(3), momentum=0.5)) == "NAG(momentum=0.5; 3 float64; step 0)"


def test_those_of_a_run_while_it_lasts():
    opt = fa.SGD(bowl, np.zeros(1))
    for _ in opt.iterate(max_epochs=1, learning_rate=0.25):
        assert "learning_rate=0.25" in repr(opt)
    assert "learning_rate" not in repr(opt)


def test_parameters_counts_and_best():
    params = {"w": np.zeros((1000, 2)), "b": np.zeros(234, np.float32), "c": np.zeros(())}
    opt = fa.ADAGRAD(lambda p: (1.5, {name: p[name] for name in p}), params, groups={"c": {"frozen": True}})
    opt.minimize(max_epochs=3)
    assert repr(opt).startswith(
        "ADAGRAD(groups={'c': {'frozen': True}}; 3 arrays, 2,235 float64 and float32, 1 frozen;"
    )
    assert repr(opt).endswith("; step 3, best 1.5 at epoch 0)")


def test_the_best_and_skipped_steps():
    opt, _ = scripted([9, 8], nonfinite="skip")
    opt.minimize(TRAIN, VALID, max_epochs=1)
    opt.step(np.array([np.nan]))
    assert repr(opt).endswith("; step 1, 1 skipped, best 8 at epoch 1)")


def test_single_updates():
    opt = fa.SGD(params=np.zeros(2))
    [(_, update)] = opt.get_updates()
    update(np.ones(2))
    assert repr(opt) == "SGD(2 float64; step 0, 1 single updates)"
    assert repr(update) == "<Update of 'param0' by SGD, 1 so far>"


def test_many_groups_are_shortened():
    opt = fa.SGD(params=[np.zeros(1)] + [np.zeros(1) for _ in range(99)], groups={f"param{i}": {} for i in range(100)})
    assert len(repr(opt)) < 200
    assert "..." in repr(opt)


def test_nothing_is_brought_up_to_date_for_it():
    opt = fa.ADAGRAD(params=np.ones((4, 2)), learning_rate=0.1, decoupled_weight_decay=0.5)
    opt.step(fa.Rows(np.array([1]), np.zeros((1, 2))))
    before = opt.params["param0"].tobytes()
    repr(opt), opt._repr_html_()
    assert opt.params["param0"].tobytes() == before
    opt.flush()
    assert opt.params["param0"].tobytes() != before


def test_one_whose_constructor_has_failed():
    opt = fa.ADAGRAD.__new__(fa.ADAGRAD)
    assert re.fullmatch(r"<fastadagrad\.optimizer\.adaptive\.ADAGRAD object at 0x\w+>", repr(opt))
    assert "ADAGRAD" in opt._repr_html_()


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def cells(text):
    parser = Cells()
    parser.feed(text)
    assert parser.open == []
    return parser.texts


def test_html():
    opt = fa.ADAGRAD(params={"<script>": np.zeros((2, 3)), "b": np.zeros(1, np.float32)}, learning_rate=0.5)
    found = opt._repr_html_()
    assert "<script>" not in found
    assert cells(found) == [
        *("ADAGRAD", "learning_rate", "0.5", "parameters", "2 arrays, 7 float64 and float32"),
        *("• <script>", "float64 of shape (2, 3)", "• b", "float32 of shape (1,)", "standing", "step 0"),
    ]


def test_html_of_many_parameters():
    texts = cells(fa.SGD(params=[np.zeros(1) for _ in range(1000)])._repr_html_())
    assert texts.count("float64 of shape (1,)") == 20
    assert "980 more" in texts


def test_html_has_the_colours_of_the_page():
    opt, _ = scripted([9, 8])
    opt.minimize(TRAIN, VALID, max_epochs=1)
    for found in (opt._repr_html_(), opt.history._repr_html_()):
        colours = {*re.findall(r"(?:color|background|solid)[: ]([^;\"]+)", found)}
        assert colours == {"inherit", "transparent", "currentColor"}


class TestPlot:
    @pytest.fixture
    def opt(self):
        pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
        opt, _ = scripted([9, 8, 7, 6.5, 6])
        opt.minimize(TRAIN, VALID, max_epochs=2, validate_every=1)
        opt.minimize(TRAIN, VALID, max_epochs=1)
        return opt

    def lines(self, figure):
        [axes] = figure.axes
        return axes, {line.get_label(): ([*line.get_xdata()], [*line.get_ydata()]) for line in axes.lines}

    def test_what_it_shows(self, opt):
        axes, lines = self.lines(opt.plot())
        assert lines["training, mean over the epoch"] == ([1, 2, 3], [0.5, 0.5, 0.5])
        assert lines["validation, after the epoch"] == ([0, 1, 2, 2, 3], [9, 8, 7, 6.5, 6])
        assert lines["best validation, epoch 1"][0] == [3, 3]
        assert lines["a new run"][0] == [2, 2]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epochs", "mean loss")

    def test_a_file_and_axes(self, opt, tmp_path):
        figure = opt.plot(tmp_path / "losses.svg")
        assert (tmp_path / "losses.svg").read_bytes().startswith(b"<?xml")
        [axes] = figure.axes
        assert opt.plot(axes) is figure
        with pytest.raises(ValueError, match=r"must end in \.png, \.svg or \.pdf"):
            opt.plot(tmp_path / "losses.txt")
        with pytest.raises(TypeError, match="where cannot be read: KeyError"):
            opt.plot(raising(KeyError, "__fspath__"))

    def test_another_monitor(self):
        pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
        opt = fa.SGD(bowl, np.zeros(1), learning_rate=0.25, monitors={"w": lambda w: w[0]})
        opt.minimize(max_epochs=1)
        axes, lines = self.lines(opt.plot(monitor="w"))
        assert lines["validation, after the epoch"] == ([0, 1], [0, 1.5])
        assert axes.get_ylabel() == "mean w"
        with pytest.raises(ValueError, match="monitor must be one of 'loss', 'w', not 'accuracy'"):
            opt.plot(monitor="accuracy")

    def test_nothing_yet(self):
        with pytest.raises(ValueError, match="nothing to draw before the first epoch: run iterate or minimize"):
            fa.SGD(params=np.zeros(1)).plot()

    def test_without_matplotlib(self, opt, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(RuntimeError, match=r'needs matplotlib: pip install "fastadagrad\[plot\]"'):
            opt.plot()
