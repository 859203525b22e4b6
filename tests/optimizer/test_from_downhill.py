"""The page for those who come from downhill: its tables against the code, and against what downhill did, recorded.

``data/downhill.npz`` holds numbers that downhill 0.5.0pre gave on Theano 1.0.5 in float64: ``parameters`` (case, step,
element) and ``monitors`` (case, step, 'loss' and 'grad(x)') of 60 steps, one an epoch, on the loss
``sum(curvature/2 * (x - target)**2 + noise[step]*x)``, validated without noise; in ``about``, which method and options
each case has, and of some sequences of losses what each epoch yielded and which parameter was left.
"""

import ast
import inspect
import json
import re
from typing import ClassVar

import numpy as np
import pytest
from places import RECORDED, ROOT

import fastadagrad as fa

PAGE = (ROOT / "docs" / "from-downhill.md").read_text()


def table(heading):
    """Rows of the first table below a heading, without its head."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]


@pytest.fixture(scope="module")
def record():
    with np.load(RECORDED / "downhill.npz", allow_pickle=False) as archive:
        found = dict(archive)
    return {**found, **json.loads(str(found["about"]))}


class TestNames:
    @pytest.mark.parametrize("name", re.findall(r"`(fa\.[\w.]+)`", PAGE))
    def test_exist(self, name):
        assert eval(name, {"fa": fa}) is not None

    @pytest.mark.parametrize("row", [row for row in table("Names") if row[1].count("`fa.") == 2])
    def test_two_names_are_of_one_thing(self, row):
        first, second = (eval(name.strip(" `"), {"fa": fa}) for name in row[1].split(","))
        assert first is second


class TestDefaults:
    @pytest.mark.parametrize("row", table("Defaults"), ids=lambda row: f"{row[0]}.{row[1]}".replace("*", ""))
    def test_are_those_of_the_page(self, row):
        of, argument, downhill, here = row[0].strip("*"), row[1].strip("`"), row[2], ast.literal_eval(row[3])
        if of == "minimize, iterate":
            assert inspect.signature(fa.SGD.iterate).parameters[argument].default == here
        elif of == "minimize":
            assert inspect.signature(fa.minimize).parameters[argument].default == here
        elif of == "Dataset":
            assert inspect.signature(fa.Dataset).parameters[argument].default == here
        elif of == "all methods":
            for method in ("SGD", "RProp", "ADAGRAD", "RMSProp", "Adam"):
                assert fa.build(method, params=np.zeros(1)).hyper[argument] == here
        else:
            assert fa.build(of, params=np.zeros(1)).hyper[argument] == here
        assert (downhill == row[3]) == (not row[0].startswith("**"))

    def test_two_are_others(self):
        assert sum(row[0].startswith("**") for row in table("Defaults")) == 2
        assert "but for the two in bold" in PAGE


COLUMNS = {"alone": 1, "momentum": 2, "elem": 3, "norm": 4, "both": 5, "own": 6, "eps": 6, "half": 6}


class TestNumbers:
    def run(self, record, algo, hyper):
        """Parameters after each step and monitors of it, of this library."""
        curvature, target = record["curvature"], record["target"]

        def loss(params, noise):
            x, noise = params["x"], noise[0]
            value = (curvature / 2 * (x - target) ** 2 + noise * x).sum()
            return value, {"x": curvature * (x - target) + noise}

        like = fa.like("downhill") if algo == "adagrad" else {}
        x = record["start"].copy()
        opt = fa.build(algo, loss, {"x": x}, monitor_gradients=True, **like)
        train = fa.Dataset(record["noise"], batch_size=1, iteration_size=1, shuffle=False)
        calm = [np.zeros((1, 4))]
        epochs = opt.iterate(train, calm, max_epochs=60, patience=1000, **hyper)
        found = [(x.copy(), (train["loss"], train["grad(x)"])) for train, _ in epochs]
        return np.array([parameters for parameters, _ in found]), np.array([monitors for _, monitors in found])

    def expected(self, record, case):
        at = list(record["cases"]).index(case)
        return record["parameters"][at], record["monitors"][at]

    @pytest.mark.parametrize("row", [row for row in table("Numbers") if row[0] != "esgd"], ids=lambda row: row[0])
    def test_differ_by_no_more_than_the_page_says(self, record, row):
        compared = set()
        for case, (algo, hyper) in record["cases"].items():
            column = COLUMNS.get(case.removeprefix(algo).strip() or "alone")
            if algo != row[0] or column is None or (algo, column) == ("nag", 2):  # whose momentum is Nesterov's
                continue
            compared.add(column)
            parameters, monitors = self.expected(record, case)
            ours, ours_monitored = self.run(record, algo, hyper)
            assert ours.shape == parameters.shape == (60, 4)
            assert abs(ours - parameters).max() <= float(row[column]), case
            assert (abs(ours_monitored - monitors) <= 1e-14 * np.maximum(1, abs(monitors))).all(), case
        assert compared == {column for column, cell in enumerate(row) if column and cell}

    def test_every_method_is_there(self, record):
        assert {row[0] for row in table("Numbers")} == {algo for algo, _ in record["cases"].values()} | {"esgd"}

    @pytest.mark.parametrize("case", ["sgd nesterov", "nag momentum", "nag nesterov", "nag nesterov=False"])
    def test_nesterov_there_is_what_the_page_says(self, record, case):
        x, v = record["start"].copy(), np.zeros(4)
        expected, _ = self.expected(record, case)
        a, m = 0.01, 0.9
        for t, noise in enumerate(record["noise"]):
            d = a * (record["curvature"] * (x - record["target"]) + noise)
            v = m * m * v - (1 + m) * d
            x = x + v
            assert abs(x - expected[t]).max() < 1e-12

    def test_nag_is_nesterovs_whatever_is_given(self, record):
        hyper = {"learning_rate": 0.01, "momentum": 0.9}
        expected = self.run(record, "sgd", {**hyper, "nesterov": True})[0]
        for given in ({}, {"nesterov": False}, {"nesterov": True}):
            assert self.run(record, "nag", {**hyper, **given})[0].tolist() == expected.tolist()
        opt = fa.NAG(params=np.zeros(1), nesterov=False, groups={"param0": {"nesterov": False}})
        assert opt.hyper.nesterov is True
        opt.hyper.nesterov = False
        assert opt.hyper.nesterov is True

    def test_a_nag_that_is_given_otherwise_says_so(self, caplog):
        with caplog.at_level("INFO", "fastadagrad"):
            fa.NAG(params=np.zeros(1), nesterov=True)
            assert not caplog.messages
            fa.NAG(params=np.zeros(1), nesterov=False)
        assert caplog.messages == ["nesterov of NAG is True whatever is given"]

    def test_adadelta_there_has_no_rate(self, record):
        expected, _ = self.expected(record, "adadelta learning_rate=0.1")
        assert self.run(record, "adadelta", {})[0].tolist() == expected.tolist()
        assert abs(self.run(record, "adadelta", {"learning_rate": 0.1})[0] - expected).max() > 0.01

    def test_momentum_of_one_is_refused(self, record):
        with pytest.raises(ValueError, match="momentum must be below 1"):
            self.run(record, *record["cases"]["adagrad momentum=1.5"])


class TestEsgd:
    """Of ESGD nothing is recorded: here is downhill's code once more, on NumPy, with the vectors that are drawn here.

    Of a clipped gradient downhill takes the derivative of what clipping leaves; here it is that of the gradient itself.
    """

    OPTIONS: ClassVar = {
        "alone": {},
        "momentum": {"momentum": 0.9},
        "elem": {"max_gradient_elem": 1.0},
        "norm": {"max_gradient_norm": 2.0},
        "both": {"max_gradient_elem": 1.0, "max_gradient_norm": 2.0},
        "own": {"rms_halflife": 3, "rms_regularizer": 0.01},
    }

    @staticmethod
    def clipped(g, max_gradient_elem=0.0, max_gradient_norm=0.0, **others):
        if max_gradient_elem > 0:
            return np.clip(g, -max_gradient_elem, max_gradient_elem)
        norm = np.sqrt((g * g).sum())
        return g * min(1.0, max_gradient_norm / norm) if max_gradient_norm > 0 else g

    def downhill(self, record, products, hyper):
        """Parameters after each step: ESGD._get_updates_for and Optimizer.get_updates, in their order of operations."""
        x, D, velocity = record["start"].copy(), np.zeros(4), np.zeros(4)
        ewma = np.exp(-np.log(2) / hyper.get("rms_halflife", 14))
        m, steps = hyper.get("momentum", 0.0), []
        for noise, u in zip(record["noise"], products, strict=True):
            g = self.clipped(record["curvature"] * (x - record["target"]) + noise, **hyper)
            D = ewma * D + (1 - ewma) * u * u
            update = g * 0.05 / (np.sqrt(D) + hyper.get("rms_regularizer", 1e-8))
            velocity = m * velocity - update
            x = x + velocity if m else x - update
            steps.append(x)
        return np.array(steps)

    @pytest.mark.parametrize("case", OPTIONS)
    def test_differs_by_no_more_than_the_page_says(self, record, case):
        [row] = [row for row in table("Numbers") if row[0] == "esgd"]
        curvature, target, hyper, products = record["curvature"], record["target"], self.OPTIONS[case], []

        def loss(x, noise):
            value = (curvature / 2 * (x - target) ** 2 + noise[0] * x).sum()
            return value, curvature * (x - target) + noise[0]

        def hv(x, z, noise):
            products.append(curvature * z)
            return products[-1]

        x = record["start"].copy()
        opt = fa.ESGD(loss, x, hv=hv, hv_rng=0, learning_rate=0.05, **hyper)
        train = fa.Dataset(record["noise"], batch_size=1, iteration_size=1, shuffle=False)
        ours = np.array([x.copy() for _ in opt.iterate(train, [np.zeros((1, 4))], max_epochs=60, patience=1000)])
        expected = self.downhill(record, products, hyper)
        assert ours.shape == expected.shape == (60, 4)
        assert np.ptp(expected, axis=0).min() > 0.1
        assert abs(ours - expected).max() <= float(row[COLUMNS[case]])


class TestStopping:
    @pytest.mark.parametrize("row", table("Stopping"), ids=lambda row: row[0])
    def test_is_as_the_page_says(self, record, row):
        protocol = record["protocols"][row[0]]
        losses, x = protocol["losses"], np.zeros(1)
        arguments = ", ".join(f"{name}={value}" for name, value in protocol["arguments"].items())
        assert row[1] == f"`{arguments}`"
        opt = fa.SGD(lambda x: (losses[min(int(x[0]), len(losses) - 1)], -np.ones(1)), x, learning_rate=1.0)
        epochs = [
            [train["loss"], valid["loss"], x[0]] for train, valid in opt.iterate(max_epochs=60, **protocol["arguments"])
        ]
        assert [len(epochs), x[0]] == [int(row[4]), int(row[5])]
        if row[2] == "goes on":
            assert len(protocol["epochs"]) == 60  # where the recording was cut off
            assert epochs == protocol["epochs"][: len(epochs)]
            return
        assert [len(protocol["epochs"]), protocol["left"]] == [int(row[2]), int(row[3])]
        if row[0] == "max_updates 5":  # the last one's validation is of what it leaves
            epochs, protocol = epochs[:-1], {"epochs": protocol["epochs"][:-1]}
        assert epochs == protocol["epochs"]

    def test_every_case_is_there(self, record):
        assert [row[0] for row in table("Stopping")] == list(record["protocols"])


class TestIdioms:
    """Rows of the page that no other test shows."""

    def test_positional_arguments(self):
        w = np.zeros(1)

        def loss(w, x, y):
            return float(((x * w - y) ** 2).mean()), np.array([(2 * (x * w - y) * x).mean()])

        x, y = np.ones(8), np.full(8, 2.0)
        monitors = [("w", lambda w, x, y: w[0])]
        opt = fa.build("sgd", loss, w, ["x", "y"], (), monitors, True)
        train, _ = opt.minimize([x, y], [x, y], 50, learning_rate=0.25)
        assert sorted(train) == ["grad(param0)", "loss", "w"]
        assert opt.steps == 50
        fa.minimize(loss, [x, y], [x, y], w, "nag", 3)
        assert w[0] == pytest.approx(2)

    def test_monitors_are_means_over_samples(self, record):
        x = np.array([0.0, 0.0, 0.0, 0.0, 10.0])
        opt = fa.SGD(lambda w, x: (0.0, np.zeros(1)), np.zeros(1), monitors={"m": lambda w, x: x.mean()})
        assert opt.evaluate(fa.Dataset(x, batch_size=4))["m"] == 2.0
        assert record["seen"]["monitor m of 5 samples (0,0,0,0,10) in batches of 4"] == [5.0, 5.0]

    def test_a_second_run_goes_on(self, record):
        w = np.zeros(1)
        opt = fa.ADAGRAD(lambda w: (-w[0], -np.ones(1)), w, rms_regularizer=0.0)
        opt.minimize(max_updates=3, learning_rate=1.0)
        for reset, step in ((False, 1 / np.sqrt(4)), (True, 1.0)):
            if reset:
                opt.reset()
            before = w[0]
            opt.minimize(max_updates=1, learning_rate=1.0)
            assert w[0] - before == step
        anew = record["seen"]["adagrad, lr 1, gradient 1: 3 steps, then a new iterate: size of its first step"]
        assert anew == pytest.approx(1)

    def test_updates_come_after_the_step_and_not_in_evaluate(self):
        w, seen = np.zeros(1), np.zeros(1)
        opt = fa.SGD(lambda w: (-w[0], -np.ones(1)), w, updates=[(seen, lambda w: w + 10)], learning_rate=1.0)
        opt.evaluate(None)
        assert seen[0] == 0
        opt.minimize(max_updates=1)
        assert (w[0], seen[0]) == (1, 11)

    def test_updates_take_what_iterate_takes(self):
        w = np.ones(2)
        ((name, update),) = fa.ADAGRAD(params=w).get_updates(batch_size=20, max_gradient_norm=1, learning_rate=0.5)
        update(np.array([3.0, 0.0]))
        assert (name, w.round(6).tolist()) == ("param0", [0.5, 1.0])
        with pytest.raises(TypeError, match="batchsize"):
            fa.ADAGRAD(params=w).get_updates(batchsize=20)

    def test_minimize_of_no_epoch(self):
        train, valid = fa.SGD(lambda w: (3.0, np.ones(1)), np.zeros(1)).minimize(max_updates=0)
        assert (train, valid) == (None, {"loss": 3.0})

    @pytest.mark.parametrize("keyword", ["gradient_clip", "max_gradient_clip"])
    def test_old_names_of_clipping(self, keyword):
        with pytest.raises(TypeError, match="did you mean 'max_gradient_elem'"):
            fa.SGD(abs, np.zeros(1)).iterate(**{keyword: 1})


def test_readme_and_guide_link_it():
    assert "docs/from-downhill.md" in (ROOT / "README.md").read_text()
    assert "(from-downhill.md)" in (ROOT / "docs" / "guide.md").read_text()
