"""`load` finds parameters by their names, tells every difference, and takes what fits if asked to."""

import numpy as np
import pytest
from checkpoints import bytes_of, trained

import fastadagrad as fa


def test_parameters_are_found_by_name_in_any_order(path):
    opt = trained({"a": np.ones(2), "b": np.ones(2), "c": np.zeros((2, 3))}, momentum=0.5)
    opt.save(path)
    other = fa.ADAGRAD(params={"c": np.zeros((2, 3)), "b": np.zeros(2), "a": np.zeros(2)}, momentum=0.5)
    assert other.load(path) == []
    for each in (opt, other):
        each.step({"a": np.ones(2), "b": np.full(2, 2.0), "c": np.ones((2, 3))})
    assert bytes_of(other, *"abc") == bytes_of(opt, *"abc")


def test_the_best_is_found_by_name_too(path):
    def loss(p):
        return float(abs(p["a"]).max() + abs(p["b"]).max()), {"a": np.sign(p["a"]), "b": np.sign(p["b"])}

    params = {"a": np.array([2.0]), "b": np.array([5.0])}
    opt = fa.ADAGRAD(loss, params, learning_rate=0.1)
    opt.minimize(max_epochs=3)
    opt.save(path)
    other = fa.ADAGRAD(loss, {"b": np.zeros(1), "a": np.zeros(1)}, learning_rate=0.1)
    other.load(path)
    other.set_params("best")
    assert bytes_of(other, "a", "b") == bytes_of(opt, "a", "b")


def test_every_difference_is_told_at_once(path):
    trained({"a": np.ones(2), "b": np.ones(3), "c": np.ones(4), "d": np.ones((5, 2))}).save(path)
    params = {"d": np.ones((5, 2)), "a": np.ones(2, np.float32), "b": np.ones((3, 1)), "e": np.ones(1)}
    opt = fa.ADAGRAD(params=params, groups={"d": {"accumulator": "row"}})
    with pytest.raises(ValueError, match="does not fit") as refused:
        opt.load(path)
    for part in (
        "it lacks the parameters 'e'",
        "it has also the parameters 'c'",
        "'a' is float64 of shape (2,) in it, and float32 of shape (2,) here",
        "'b' is float64 of shape (3,) in it, and float64 of shape (3, 1) here",
        "the accumulator of 'd' is float64 of shape (5, 2) in it, and float64 of shape (5,) here",
        "strict=False takes what fits",
    ):
        assert part in str(refused.value)
    assert opt.steps == 0


def test_what_fits_is_taken_if_asked_for(path, caplog):
    opt = trained({"a": np.ones(2), "b": np.ones(3), "old": np.ones(4)}, learning_rate=0.1)
    opt.save(path)
    params = {"new": np.full(2, 5.0), "b": np.zeros((3, 3)), "a": np.zeros(2)}
    other = fa.ADAGRAD(params=params, learning_rate=0.1)
    with caplog.at_level("WARNING", logger="fastadagrad"):
        skipped = other.load(path, strict=False)
    for part in ("it lacks the parameters 'new'", "it has also the parameters 'old'", "'b' is float64 of shape (3,)"):
        assert any(part in each for each in skipped)
        assert part in caplog.text
    assert bytes_of(other, "a") == bytes_of(opt, "a")
    assert params["new"].tolist() == [5, 5]
    assert not params["b"].any()
    assert not other.state["new"]["accumulator"].any()
    assert other.steps == 3
    with pytest.raises(RuntimeError, match="no best parameters"):
        other.set_params()
    again = fa.ADAGRAD(params=params, learning_rate=0.1)
    other.save(path)
    assert again.load(path) == []


def test_what_has_no_state_in_the_file_begins_as_it_would_alone(path):
    """Of a method that goes by the number of its steps, it counts from here."""
    trained({"a": np.ones(2)}, algo="adam", learning_rate=0.1).save(path)
    opt = fa.Adam(params={"a": np.ones(2), "b": np.ones(2)}, learning_rate=0.1)
    opt.load(path, strict=False)
    alone = fa.Adam(params={"b": np.ones(2)}, learning_rate=0.1)
    for g in (np.ones(2), np.full(2, -3.0)):
        opt.step({"a": g, "b": g})
        alone.step({"b": g})
    assert bytes_of(opt, "b") == bytes_of(alone, "b")
    opt.save(path)
    other = fa.Adam(params={"b": np.ones(2), "a": np.ones(2)}, learning_rate=0.1)
    other.load(path)
    for each in (opt, other):
        each.step({"a": np.ones(2), "b": np.ones(2)})
    assert bytes_of(other, "a", "b") == bytes_of(opt, "a", "b")


def test_a_parameter_that_the_file_lacks_goes_on_with_its_own_state(path):
    trained({"a": np.ones(2)}, algo="adam", learning_rate=0.1, steps=7).save(path)
    opt = trained({"a": np.ones(2), "b": np.ones(2)}, algo="adam", learning_rate=0.1, steps=2)
    alone = trained({"b": np.ones(2)}, algo="adam", learning_rate=0.1, steps=2)
    opt.load(path, strict=False)
    opt.step({"a": np.ones(2), "b": np.ones(2)})
    alone.step({"b": np.ones(2)})
    assert bytes_of(opt, "b") == bytes_of(alone, "b")


def test_a_state_that_does_not_fit_begins_anew(path):
    trained({"a": np.ones((2, 3))}, learning_rate=0.1).save(path)
    opt = trained({"a": np.ones((2, 3))}, learning_rate=0.1, accumulator="row", steps=2)
    with pytest.warns(UserWarning, match="accumulator was 'element' and is 'row'"):
        [skipped, *_] = opt.load(path, strict=False)
    assert "the accumulator of 'a' is float64 of shape (2, 3) in it" in skipped
    assert opt.state["a"]["accumulator"].tolist() == [0, 0]
    assert opt.params["a"].max() < 1


def test_parameters_of_another_method(path):
    trained({"a": np.ones(2)}, learning_rate=0.1).save(path)
    opt = fa.Adam(params={"a": np.ones(2)}, learning_rate=0.1)
    with pytest.raises(ValueError, match="it holds the method 'adagrad', not 'adam'"):
        opt.load(path)
    assert opt.load(path, strict=False)[0] == "it holds the method 'adagrad', not 'adam'"
    assert opt.params["a"].max() < 1
    assert not any(slot.any() for slot in opt.state["a"].values())
