"""Means of the weights that training on a stream passes through."""

import numpy as np
import pytest
from streamed import LABELS, K, X, equal, from_stdin, text_of

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel
from fastadagrad.linear.averaging import LATE, Average
from fastadagrad.linear.running_mean import RunningMean
from fastadagrad.linear.scaling import Scaling
from fastadagrad.linear.training import Trainer

pytestmark = pytest.mark.usefixtures("small_blocks")
RNG = np.random.default_rng(0)
POINTS = [(RNG.normal(size=4).astype(np.float32), RNG.normal(size=1).astype(np.float32)) for _ in range(9)]
VISITS = [300, 300, 7, 400, 256, 256, 1, 900, 300]


def fed(mean, points=range(9), ends=(2, 5, 8)):
    """The mean of some points, with ends of epochs after some of them."""
    mean.begin_epoch()
    for i in points:
        mean.note(VISITS[i], 0)
        if i in ends:
            mean.end_epoch(POINTS[i])
            mean.begin_epoch()
        else:
            mean.take_point(POINTS[i])
    return mean.weights(POINTS[-1])


@pytest.mark.parametrize("late", [0.0, LATE])
def test_a_mean_of_all_is_that_of_the_points(late):
    found = fed(RunningMean(Average(None, late), 4))
    ends = np.cumsum(VISITS)
    shares = np.ones(9)
    for i in range(1, 9):
        own = (1 + late) / (ends[i] / VISITS[i] + late)
        shares[:i] *= 1 - own
        shares[i] = own
    if not late:
        np.testing.assert_allclose(shares, np.array(VISITS) / ends[-1])
    for position, dtype in enumerate((np.float32, np.float32)):
        expected = sum(share * point[position].astype(float) for share, point in zip(shares, POINTS, strict=True))
        np.testing.assert_allclose(found[position], expected, rtol=1e-6)
        assert found[position].dtype == dtype


@pytest.mark.parametrize("last", [1, 2, 3, 8])
def test_a_mean_of_the_last_epochs_leaves_the_earlier_ones_out(last):
    found = fed(RunningMean(Average(last), 4))
    since = [0, 3, 6][max(0, 3 - last)]
    visits = np.array(VISITS[since:], float)
    expected = sum(n * point[0] for n, point in zip(visits / visits.sum(), POINTS[since:], strict=True))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_a_look_at_the_mean_takes_no_point():
    mean, other = RunningMean(Average(None, LATE), 4), RunningMean(Average(None, LATE), 4)
    np.testing.assert_array_equal(mean.weights(POINTS[0])[0], POINTS[0][0])
    fed(mean, range(4))
    fed(other, range(4))
    mean.note(50, 0)
    looked = mean.weights(POINTS[5])
    other.note(50, 0)
    other.take_point(POINTS[5])
    for one, two in zip(looked, other.weights(POINTS[5]), strict=True):
        np.testing.assert_array_equal(one, two)
    mean.note(3, 0)
    other = fed(RunningMean(Average(2), 4), range(5))
    assert not np.array_equal(mean.weights(POINTS[5])[0], looked[0])


def test_points_lie_further_and_further_apart_and_not_closer_than_the_features_are_many():
    mean, at = RunningMean(Average(None), 4), []
    mean.begin_epoch()
    while sum(at) < 100_000:
        at.append(mean.until_point(1.0))
        mean.note(at[-1], at[-1])
        mean.take_point(POINTS[0])
    assert at[:4] == [256] * 4
    assert at == sorted(at)
    assert at[-1] == pytest.approx(100_000 / 16, rel=0.1)
    assert RunningMean(Average(None), 10_000).until_point(5.0) == 2000


def test_a_mean_goes_with_the_scales():
    old, new = (Scaling(RNG.normal(size=4), RNG.uniform(1, 2, 4)) for _ in range(2))
    mean = RunningMean(Average(None), 4)
    fed(mean)
    scores = []
    for scale in (old, new):
        weights, intercept = (each.astype(float) for each in mean.weights(POINTS[0]))
        scores.append(scale.apply(new.shift[None], np.float64) @ weights + intercept)
        mean.rescale(old, new)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("average", ["auto", True, 2])
def test_an_average_is_nearly_that_of_a_fit_in_memory(text_file, average):
    path, options = text_file("softmax"), {"average": average, "max_epochs": 8, "learning_rate": 0.3, "scale": "maxabs"}
    options["shuffle"] = False
    table = load(path, dtype=None)
    whole, streamed = LinearModel(**options).fit(table), LinearModel(**options).fit(fa.Stream(path))
    last = LinearModel(**{**options, "average": False}).fit(fa.Stream(path))
    apart = np.linalg.norm(whole.coef_ - last.coef_)
    assert np.linalg.norm(streamed.coef_ - whole.coef_) < 0.35 * apart
    losses = [[entry["loss"] for entry in model.history] for model in (streamed, last)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)  # training itself goes on from the last weights


def test_an_l1_penalty_is_not_averaged_by_itself(text_file):
    options = {"l1": 1e-3, "max_epochs": 2, "learning_rate": 0.1}
    plain = LinearModel(**options, average=False).fit(fa.Stream(text_file("logistic")))
    equal(LinearModel(**options).fit(fa.Stream(text_file("logistic"))), plain)


@pytest.mark.parametrize("average", ["auto", 2])
def test_bits_of_an_average_depend_on_threads_and_blocks_as_little(text_file, average, buffer_of):
    buffer_of(2000)
    options = {"average": average, "max_epochs": 2, "learning_rate": 0.1}
    models = [LinearModel(**options).fit(fa.Stream(text_file("logistic"), threads=n)) for n in (0, 3)]
    equal(*models)


@pytest.mark.parametrize("average", [True, 2])
@pytest.mark.parametrize("scale", ["maxabs", "none"])
def test_an_average_goes_on_from_a_file(text_file, tmp_path, average, scale):
    options = {"average": average, "shuffle": False, "warm_start": True, "scale": scale, "learning_rate": 0.1}
    stream = fa.Stream(text_file("logistic"))
    whole = LinearModel(max_epochs=3, **options).fit(stream)
    LinearModel(max_epochs=1, **options).fit(stream).save(tmp_path / "m")
    equal(LinearModel.load(tmp_path / "m", max_epochs=2).fit(stream), whole)


def test_an_earlier_mean_that_validation_has_kept_is_where_training_goes_on(text_file, monkeypatch):
    stream, valid = fa.Stream(text_file("logistic")), load(text_file("logistic"), dtype=None)
    losses = iter([0.1, 0.1, 0.5, 0.5, 0.5, 0.5])  # twice an epoch
    monkeypatch.setattr("fastadagrad.linear.training.Scorer.loss", lambda *rest: next(losses))
    model = LinearModel(max_epochs=3, average=True, learning_rate=0.1).fit(stream, valid=valid)
    assert model.best_epoch == 1
    monkeypatch.undo()
    [mean] = model._state.means
    assert mean.visits == len(valid.labels)
    scale = model._state.scaling.size
    np.testing.assert_allclose(mean.weights / scale, model.coef_, rtol=1e-6)
    np.testing.assert_array_equal(model._state.trained.weights.p, mean.weights.astype(np.float32))


def test_what_is_read_once_only_has_the_mean_of_its_one_epoch(monkeypatch, buffer_of):
    buffer_of(1500)
    found = {}
    for average in (False, "auto"):
        from_stdin(monkeypatch, text_of(LABELS["squared"]))
        model = LinearModel("squared", average=average, learning_rate=0.3, scale="maxabs")
        found[average] = model.fit(fa.Stream("-", n_features=K))
    assert not np.array_equal(found["auto"].coef_, found[False].coef_)
    losses = {average: model.evaluate(X, LABELS["squared"])["loss"] for average, model in found.items()}
    assert losses["auto"] == pytest.approx(losses[False], rel=0.05)


@pytest.mark.parametrize("average", [False, "auto"])
def test_an_interruption_keeps_the_mean_so_far(text_file, monkeypatch, average):
    train = Trainer.train

    def interrupted(self, order, *rest):
        interrupted.visits += len(order)
        if interrupted.visits > 3000:
            raise KeyboardInterrupt
        return train(self, order, *rest)

    interrupted.visits = 0
    monkeypatch.setattr(Trainer, "train", interrupted)
    model = LinearModel(average=average, learning_rate=0.1).fit(fa.Stream(text_file("logistic")))
    assert model.stopped_because == "interrupted"
    assert (model.best_epoch, len(model.history)) == (1, 1)
    assert model._state is not None
    assert len(model._state.means) == (average == "auto")


def test_parts_of_a_stream_are_not_averaged_by_themselves(text_file):
    stream, options = fa.Stream(text_file("logistic")), {"learning_rate": 0.1, "warm_start": True}
    equal(LinearModel(**options).partial_fit(stream), LinearModel(**options, average=False).partial_fit(stream))
    averaged = LinearModel(**options, average=True).partial_fit(stream).partial_fit(stream)
    assert averaged._state.means[0].visits == 4800
