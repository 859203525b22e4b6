"""How much of the data a run takes: limits of batches, of epochs and of passes, for data of every kind."""

import numpy as np
import pytest
from runs import bowl

import fastadagrad as fa


class Endless:
    """Batches of two numbers, read again from 0 each time, for as long as anybody asks; `drawn` counts them."""

    drawn = 0

    def __iter__(self):
        for n in range(10_000):
            self.drawn += 1
            yield (np.full(2, float(n)),)
        raise AssertionError("nobody should ask for so many")


class TestLimits:
    """How many batches an epoch has, and a validation or an evaluation takes."""

    def counting(self):
        """An optimizer without gradients, and the batches that its loss was called with."""
        seen = []
        return fa.ADAGRAD(lambda w, x: (seen.append(x[0]) or 1.0, np.zeros(1)), np.zeros(1)), seen

    BATCHES = [(np.full(2, float(n)),) for n in range(7)]  # noqa: RUF012
    SOURCES = {  # noqa: RUF012
        "array": lambda: np.repeat(np.arange(7.0), 32),
        "list": lambda: TestLimits.BATCHES,
        "endless": Endless,
        "Dataset": lambda: fa.Dataset(np.repeat(np.arange(7.0), 32), shuffle=False),
        "Dataset of a list": lambda: fa.Dataset(TestLimits.BATCHES),
        "Dataset of what is endless": lambda: fa.Dataset(Endless(), iteration_size=6),
    }

    @pytest.mark.parametrize("source", SOURCES)
    def test_valid_batches(self, source):
        opt, seen = self.counting()
        opt.minimize(np.full(32, 99.0), self.SOURCES[source](), valid_batches=3, max_epochs=1)
        assert seen == [0, 1, 2, 99, 0, 1, 2]

    @pytest.mark.parametrize("source", SOURCES)
    def test_train_batches_hold_for_a_validation_on_the_same_data(self, source):
        opt, seen = self.counting()
        opt.minimize(self.SOURCES[source](), train_batches=4, max_epochs=1, rng=0)
        trained = seen[4:8]
        assert (len(seen), seen[:4], seen[8:]) == (12, [0, 1, 2, 3], [0, 1, 2, 3])
        assert source == "array" or trained == [0, 1, 2, 3]

    @pytest.mark.parametrize("source", SOURCES)
    def test_both(self, source):
        opt, seen = self.counting()
        opt.minimize(self.SOURCES[source](), train_batches=4, valid_batches=2, max_epochs=1)
        assert (len(seen), seen[:2], seen[6:]) == (8, [0, 1], [0, 1])

    def test_epochs_go_on_where_the_last_one_stopped(self):
        opt, seen = self.counting()
        data = fa.Dataset(self.BATCHES)
        opt.minimize(data, self.BATCHES[:1], train_batches=3, max_epochs=3, validate_every=10)
        assert seen[1:10] == [0, 1, 2, 3, 4, 5, 6, 0, 1]
        assert [int(x[0]) for (x,) in data] == [*range(7)]  # which stays where it was

    @pytest.mark.parametrize(
        ("size", "limit", "second"), [({}, {"train_batches": 2}, [0, 1]), ({"iteration_size": 2}, {}, [2, 3])]
    )
    def test_another_run_begins_anew_or_goes_on(self, size, limit, second):
        opt, seen = self.counting()
        data = fa.Dataset(self.BATCHES, **size)
        for expected in ([0, 1], second):
            seen.clear()
            opt.minimize(data, self.BATCHES[:1], max_epochs=1, **limit)
            assert seen[1:3] == expected

    @pytest.mark.parametrize("kind", ["array", "list", "endless", "callable"])
    def test_iteration_size_holds_in_evaluation(self, kind):
        opt, seen = self.counting()
        numbers = iter(range(100))
        source = (lambda: (np.full(2, float(next(numbers))),)) if kind == "callable" else self.SOURCES[kind]()
        assert opt.evaluate(fa.Dataset(source, iteration_size=5)) == {"loss": 1.0}
        assert seen == [0, 1, 2, 3, 4]

    def test_an_evaluation_is_at_most_one_pass(self):
        opt, seen = self.counting()
        opt.evaluate(fa.Dataset(self.BATCHES, iteration_size=20))
        opt.evaluate(self.BATCHES)
        assert seen == 2 * [*range(7)]

    def test_no_more_is_drawn_than_is_used(self):
        opt, _ = self.counting()
        stream = Endless()
        opt.evaluate(fa.Dataset(stream, iteration_size=3))
        assert stream.drawn == 3

    def test_as_a_validation_set(self):
        opt, seen = self.counting()
        opt.minimize(np.full(32, 99.0), fa.Dataset(Endless(), iteration_size=2), max_epochs=1)
        assert seen == [0, 1, 99, 0, 1]

    def test_saved_with_one_name_in_both_roles(self, tmp_path):
        """Validation on fewer batches of the training data has a Dataset of its own, by the same name."""

        def made():
            w = np.zeros(1)
            data = fa.Dataset(np.arange(12.0), name="data", batch_size=2, rng=3)
            return fa.ADAGRAD(lambda w, x: bowl(w - x.mean()), w, learning_rate=0.1), w, data

        whole, expected, data = made()
        whole.minimize(data, train_batches=4, valid_batches=2, max_epochs=6)
        opt, _, data = made()
        for i, _ in enumerate(opt.iterate(data, train_batches=4, valid_batches=2, max_epochs=6), 1):
            if i == 3:
                opt.save(tmp_path / "file")
                break
        fresh, w, data = made()
        fresh.load(tmp_path / "file")
        fresh.minimize(data, train_batches=4, valid_batches=2, max_epochs=6)
        assert w.tobytes() == expected.tobytes()
        assert fresh.history == whole.history
