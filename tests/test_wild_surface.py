"""Arguments of all kinds in everything public: refused by name, whatever they say of themselves."""

import every_lie
import numpy as np
import pytest
import wild_surface
from wild import Interface, interface, tried

import fastadagrad as fa


def test_nothing_public_is_missing():
    named, called = wild_surface.callables(), {*wild_surface.cases()}
    exempt = {name.removeprefix("fastadagrad.") for name in wild_surface.EXEMPT}
    assert exempt | called == {*named}
    assert not exempt & called
    assert {*wild_surface.SENSIBLE} <= called


@pytest.mark.parametrize(
    ("calls", "seed"), [(150, 0), pytest.param(3000, 100, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_call_keeps_to_the_contract(calls, seed):
    pytest.importorskip("sklearn")
    assert tried(calls, seed, at_once=1500, program=wild_surface.__file__) == {}


@pytest.mark.parametrize("every", [1021, pytest.param(41, marks=pytest.mark.slow)], ids=["some", "many"])
def test_every_lie_is_refused(every, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    first, _ = every_lie.parameters()
    assert tried(every_lie.count(first, every), every, at_once=20000, program=every_lie.__file__) == {}


def test_a_lie_that_is_not_refused_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(wild_surface.cases(), "like", lambda: (lambda peer: float(peer), {"peer": 1.0}))
    monkeypatch.setattr(every_lie, "parameters", lambda: ([("like", "peer")], []))
    told = [every_lie.call(number, 1) for number in range(every_lie.count([("like", "peer")], 1))]
    asked = [text for text in told if text is not None]
    beyond = [text for text in asked if text.startswith("like, peer: an integer beyond all floats, itself: Overflow")]
    special = [text for text in asked if text.startswith("like, peer: __")]
    assert len(special) == 3 * 3  # float() asks for __float__ and else for __index__, which three kinds of lies have
    assert len(beyond) == 1
    assert len(asked) == len(special) + len(beyond)
    assert all(" in test_wild_surface.py:" in text for text in asked)


NOWHERE = interface(0xDEAD0000, shape=(12,))


class Raising:
    """An object that cannot be asked for its memory."""

    def __array__(self, *arguments, **keywords):
        raise LookupError("a lie")


X, Y = np.ones((12, 2)), np.arange(12) % 2
READERS = {
    "X": lambda x: fa.LinearModel(max_epochs=1, learning_rate=0.1).fit(x, Y),
    "y": lambda x: fa.LinearModel(max_epochs=1, learning_rate=0.1).fit(X, x),
    "sample_weight": lambda x: fa.LinearModel(max_epochs=1, learning_rate=0.1).fit(X, Y, sample_weight=x),
    "scores": lambda x: wild_surface.model().labels_of(x),
    "labels": lambda x: wild_surface.model().evaluation_of(np.ones(12), x),
}


@pytest.mark.parametrize("lie", [lambda: Interface(NOWHERE), Raising, lambda: [Interface(NOWHERE)] * 12])
@pytest.mark.parametrize("reader", READERS)
def test_memory_that_is_not_there_is_not_read(reader, lie):
    with pytest.raises((TypeError, ValueError), match=reader):
        READERS[reader](lie())


@pytest.mark.parametrize("lie", [lambda: Interface(NOWHERE), Raising])
def test_nor_by_minimizers_and_estimators(lie):
    pytest.importorskip("sklearn")
    from fastadagrad import scipy, sklearn

    for read in (
        lambda: scipy.sgd(lambda x: float(x @ x), lie(), jac=lambda x: 2 * x),
        lambda: scipy.sgd(lambda x: float(x @ x), np.ones(12), jac=lambda x: lie(), maxiter=1),
        lambda: scipy.sgd(lambda x: lie(), np.ones(12), jac=lambda x: x, maxiter=1),
        lambda: sklearn.AdaGradClassifier().fit(lie(), Y),
        lambda: sklearn.AdaGradClassifier().fit(X, lie()),
        lambda: sklearn.AdaGradRegressor().fit(X, Y, sample_weight=lie()),
    ):
        with pytest.raises((TypeError, ValueError)):
            read()


@pytest.mark.parametrize("scores", ["word", np.ones((12, 2)), [None], np.ones(3, complex), {}, 3.0])
def test_scores_are_those_of_decision_function(scores):
    model = wild_surface.model()
    for use in (model.labels_of, model.probabilities_of, lambda s: model.evaluation_of(s, Y)):
        with pytest.raises((TypeError, ValueError), match="scores"):
            use(scores)


def test_as_many_labels_as_scores():
    with pytest.raises(ValueError, match="of one length, not 12 and 3"):
        wild_surface.model().evaluation_of(np.ones(12), Y[:3])
