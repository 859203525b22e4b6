"""Figures: what they show, and the files that they go to."""

import math
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.linear import LinearModel
from fastadagrad.linear.plot import draw_epochs
from fastadagrad.optimizer.rate_finder import RateSearch, draw_rates
from fastadagrad.support import figures

SEARCH = RateSearch(np.array([0.01, 0.1, 1.0, 10.0]), np.array([2.0, 0.5, 3.0, math.inf]), 2.5, 0.1)
MAGIC = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF"}


def model(history, best_epoch=1, loss="logistic"):
    return SimpleNamespace(history=history, best_epoch=best_epoch, loss=loss)


def entries(losses, valid=None):
    found = [{"epoch": i + 1, "loss": x} for i, x in enumerate(losses)]
    for entry, x in zip(found, valid or [], strict=False):
        entry["valid_loss"] = x
    return found


def axes_of(draw, subject):
    [axes] = figures.drawing(draw, subject).axes
    return axes


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def luminance(color):
    """Of WCAG 2: relative, 0 to 1."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_palette():
    assert len(set(figures.PALETTE)) == 8
    # All that is used here can be seen on white.
    assert all(1.05 / (luminance(color) + 0.05) > 2 for color in figures.PALETTE[:-1])


@pytest.mark.parametrize("suffix", MAGIC)
def test_files_of_every_kind(tmp_path, suffix):
    path = tmp_path / f"figure{suffix.upper()}"
    path.write_text("an older one")
    SEARCH.plot(path)
    assert path.read_bytes().startswith(MAGIC[suffix])
    assert list(tmp_path.iterdir()) == [path]
    if suffix == ".svg":
        ElementTree.parse(path)


def test_what_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for path, error, text in [
        (tmp_path / "a.gif", ValueError, r"must end in \.png, \.svg or \.pdf, not '.*a\.gif'"),
        (tmp_path / "png", ValueError, "must end in"),
        (tmp_path / "no" / "a.png", FileNotFoundError, "No such file or directory"),
        (tmp_path / "folder.png", IsADirectoryError, "Is a directory"),
    ]:
        for refuse in (figures.check_path, SEARCH.plot):
            with pytest.raises(error, match=text):
                refuse(path)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.png"]


def test_a_failure_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_text("an older one")
    figure = figures.drawing(draw_rates, SEARCH)

    def fails(file, **options):
        file.write(b"half of it")
        raise OSError("the disk is full")

    monkeypatch.setattr(figure, "savefig", fails)
    with pytest.raises(OSError, match="the disk is full"):
        figures.save(figure, path)
    assert path.read_text() == "an older one"
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RuntimeError, match=r'pip install "fastadagrad\[plot\]"'):
        figures.check_path(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match=r'pip install "fastadagrad\[plot\]"'):
        figures.new_figure(4, 3)


def test_a_figure_has_its_size_and_no_window():
    figure = figures.new_figure(4, 3)
    assert figure.get_size_inches().tolist() == [4, 3]
    assert figure.canvas.manager is None  # pyplot knows nothing of it


def test_rates():
    axes = axes_of(draw_rates, SEARCH)
    found = lines(axes)
    run = found["after a short run"]
    assert (run.get_xdata().tolist(), run.get_ydata().tolist()) == ([0.01, 0.1, 1.0], [2.0, 0.5, 3.0])
    assert found["diverged"].get_xdata().tolist() == [10.0]
    assert found["suggestion 0.1"].get_xdata() == [0.1, 0.1]
    assert found["at the start"].get_ydata() == [2.5, 2.5]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "mean loss")
    low, high = axes.get_ylim()
    assert low < 0.5
    assert 2.5 < high


def test_rates_in_given_axes_and_of_losses_far_apart():
    axes = figures.new_figure().subplots()
    RateSearch(np.array([0.1, 1.0]), np.array([1e-3, 1e9]), 10.0, 0.1).plot(axes)
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low < 1e-3 < 10 < high < 1e3
    assert "diverged" not in lines(axes)


def test_losses_below_zero():
    axes = axes_of(draw_rates, RateSearch(np.array([0.1, 1.0]), np.array([-5.0, -2.0]), -1.0, 0.1))
    assert axes.get_yscale() == "linear"
    low, high = axes.get_ylim()
    assert low < -5
    assert -1 < high


def test_epochs():
    axes = axes_of(draw_epochs, model(entries([0.7, 0.5, 0.4], [0.6, 0.55, 0.58]), best_epoch=2))
    found = lines(axes)
    assert found["training, before each update"].get_ydata().tolist() == [0.7, 0.5, 0.4]
    assert found["validation, after the epoch"].get_ydata().tolist() == [0.6, 0.55, 0.58]
    assert found["weights kept (epoch 2)"].get_xdata() == [2, 2]
    assert axes.get_xlabel() == "epoch (passes over the training examples)"
    assert axes.get_ylabel() == "mean logistic loss (nats)"
    assert all(tick == round(tick) for tick in axes.get_xticks())
    colors = [line.get_color() for line in axes.lines]
    assert len(set(colors)) == 3
    assert set(colors) <= set(figures.PALETTE)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_axis_names_the_loss(loss):
    assert axes_of(draw_epochs, model(entries([1.0]), loss=loss)).get_ylabel().startswith(f"mean {loss} loss")


def test_epochs_without_validation_and_with_a_loss_that_is_not_finite():
    axes = axes_of(draw_epochs, model(entries([100.0, 0.5, math.nan]), best_epoch=2))
    assert list(lines(axes)) == ["training, before each update", "weights kept (epoch 2)"]
    assert axes.get_yscale() == "log"
    axes.figure.draw_without_rendering()
    labels = {text.get_text() for text in axes.get_yticklabels(which="both")}
    assert {"1", "10", "100"} <= labels
    axes = axes_of(draw_epochs, model(entries([math.inf]), best_epoch=0))
    assert not axes.lines


def test_epochs_of_a_fitted_model(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    fitted = LinearModel(max_epochs=40, validation=0.3).fit(X, X[:, 0] > 0)
    axes = axes_of(draw_epochs, fitted)
    assert lines(axes)["validation, after the epoch"].get_ydata()[-1] == fitted.history[-1]["valid_loss"]
    assert f"weights kept (epoch {fitted.best_epoch})" in lines(axes)
