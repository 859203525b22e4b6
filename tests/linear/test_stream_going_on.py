"""Training on a stream that goes on, from a file or part by part."""

import numpy as np
import pytest
from streamed import LABELS, PLAIN, K, X, equal

import fastadagrad as fa
from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel
from fastadagrad.linear.training import Trainer
from fastadagrad.support import array_file

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("loss", ["logistic", "squared", "softmax"])
@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        {"method": "adam", "lazy": "touched"},
        {"scale": "none", "average": True},
        {"average": "auto", "learning_rate": 0.1},
    ],
    ids=str,
)
def test_training_goes_on_from_a_file(text_file, tmp_path, loss, options):
    options = {"loss": loss, "shuffle": False, "warm_start": True, **options}
    stream = fa.Stream(text_file(loss))
    whole = LinearModel(max_epochs=3, **options).fit(stream)
    LinearModel(max_epochs=1, **options).fit(stream).save(tmp_path / "m")
    loaded = LinearModel.load(tmp_path / "m", max_epochs=2)
    assert loaded.goes_on
    equal(loaded.fit(stream), whole)
    if options.get("average") == "auto":
        return  # partial_fit has no such average
    again = LinearModel.load(tmp_path / "m").partial_fit(stream)
    again.save(tmp_path / "n")
    equal(LinearModel.load(tmp_path / "n").partial_fit(stream), whole)


@pytest.mark.parametrize("average", [True, 2])
def test_averages_go_on_from_a_file(tmp_path, average):
    options = {"average": average, "warm_start": True, "max_epochs": 2, "scale": "standard"}
    model = LinearModel(**options).fit(X, LABELS["logistic"])
    model.save(tmp_path / "m")
    loaded = LinearModel.load(tmp_path / "m")
    equal(loaded.fit(X, LABELS["logistic"]), model.fit(X, LABELS["logistic"]))


@pytest.mark.parametrize("what", ["rows", "slots", "steps", "shape", "means"])
def test_damaged_states_are_refused(tmp_path, text_file, what):
    LinearModel().fit(fa.Stream(text_file("logistic"))).save(tmp_path / "m")
    header, arrays = array_file.read(tmp_path / "m", "linear model")
    if what == "rows":
        arrays["state/rows"] = arrays["state/rows"] + 100
    elif what == "shape":
        arrays["state/intercept"] = np.zeros(3, np.float32)
    elif what == "steps":
        header["state"]["steps"] = "many"
    else:
        header["state"][what] = ["accumulator", "another"] if what == "slots" else [3, 4]
    array_file.write(tmp_path / "m", "linear model", header, arrays)
    with pytest.raises(ValueError, match="is a damaged fastadagrad linear model file"):
        LinearModel.load(tmp_path / "m")


def test_blocks_by_hand_are_an_epoch(text_file):
    stream, options = fa.Stream(text_file("logistic")), {"loss": "logistic", "scale": "none", "shuffle": False}
    by_hand = LinearModel(**options)
    for table in fa.Stream(text_file("logistic"), n_features=K):
        wide = Table(table.features._replace(shape=(len(table.labels), K)), table.labels)
        by_hand.partial_fit(wide, classes=[0, 1])
    equal(by_hand, LinearModel(**options).partial_fit(stream))


def test_without_an_average_training_goes_on_from_the_one_before(text_file):
    stream = fa.Stream(text_file("logistic"))
    model = LinearModel(average=True, learning_rate=0.1, max_epochs=2).fit(stream)
    [mean] = model._state.means
    begun = []
    train = Trainer.train

    def watched(self, order, *rest):
        begun.append(self.parameters[0].copy())
        return train(self, order, *rest)

    model._parameters["average"] = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train", watched)
        model.partial_fit(stream)
    np.testing.assert_array_equal(begun[0], mean.weights.astype(np.float32))
    assert model._state.means == ()
