"""Checkpoints of fits in memory and of streams: a fit that is stopped goes on with the bits of one that is not."""

import copy
import io
import os
import signal
import sys

import numpy as np
import pytest
import scipy.sparse
from full_disk import no_room_for
from streamed import LABELS, text_of

from fastadagrad.data import stream_text
from fastadagrad.data.streams import Stream
from fastadagrad.linear import LinearModel
from fastadagrad.linear.fit_checkpoints import Taken
from fastadagrad.linear.streams import fit_stream
from fastadagrad.support import array_file
from fastadagrad.support.array_file import Damaged
from fastadagrad.support.numbered_files import Checkpoints

RNG = np.random.default_rng(0)
N = 300
DENSE = RNG.normal(size=(N, 5))
Y = DENSE @ RNG.normal(size=5) + RNG.normal(size=N) / 2
SPARSE = scipy.sparse.random(N, 40, 0.15, random_state=1, format="csr")
LABELLED = {
    "squared": (DENSE, Y),
    "softmax": (DENSE, np.digitize(Y, [-1, 1])),
    "logistic": (SPARSE, (SPARSE @ RNG.normal(size=40) > 0).astype(int)),
}


class KilledError(BaseException):
    pass


class Killer:
    """Ends a fit once it has written so many checkpoints, as a kill would do."""

    def __init__(self, monkeypatch):
        self._left, save = 0, Checkpoints.save

        def saving(files, write, ended=False):
            save(files, write, ended)
            self._left -= 1
            if not self._left:
                raise KilledError

        monkeypatch.setattr(Checkpoints, "save", saving)

    def kill(self, after, fit):
        self._left = after
        with pytest.raises(KilledError):
            fit()
        self._left = 0


@pytest.fixture
def killer(monkeypatch):
    return Killer(monkeypatch)


def bits(model):
    found = model.coef_.tobytes(), model.intercept_.tobytes(), model.history, model.best_epoch
    return (*found, model.stopped_because, model.learning_rate_)


def assert_goes_on(killer, folder, fit, times=(1, 2), **more):
    """See that a fit which is killed has the bits of one that is not; and so if it is started once it has ended."""
    expected = bits(fit())
    for after in times:
        killer.kill(after, lambda: fit(checkpoint=folder, resume=True, **more))
    for _ in range(2):
        assert bits(fit(checkpoint=folder, resume=True, **more)) == expected


OPTIONS = {
    "defaults, whose rate is found": ("squared", {}),
    "validation": ("squared", {"validation": 0.2, "patience": 1, "learning_rate": 0.1}),
    "no average": ("squared", {"average": False, "learning_rate": 0.1, "max_epochs": 6}),
    "average of the last": ("squared", {"average": 2, "learning_rate": 0.1}),
    "l1": ("logistic", {"l1": 1e-3, "learning_rate": 0.1}),
    "l2, caught up": ("logistic", {"l2": 1e-3, "learning_rate": 0.1, "implicit": False}),
    "l2, each step": ("logistic", {"l2": 1e-3, "lazy": "dense", "learning_rate": 0.1, "implicit": False}),
    "l2, touched": ("logistic", {"l2": 1e-3, "lazy": "touched", "learning_rate": 0.1}),
    "momentum": ("squared", {"method": "sgd", "momentum": 0.9, "nesterov": True, "learning_rate": 0.01}),
    "adam": ("softmax", {"method": "adam", "learning_rate": 0.01}),
    "ftrl": ("logistic", {"method": "ftrl", "ftrl_l1": 1e-3, "learning_rate": 0.1}),
    "batches": ("softmax", {"batch_size": 8, "learning_rate": 0.1}),
    "the order of the examples": ("squared", {"shuffle": False, "learning_rate": 0.1, "dtype": np.float64}),
}


MORE = {"no average", "l2, each step", "l2, touched", "adam", "ftrl", "batches", "the order of the examples"}


@pytest.mark.parametrize("options", [pytest.param(x, marks=[pytest.mark.slow] if x in MORE else []) for x in OPTIONS])
def test_in_memory(killer, tmp_path, options):
    loss, options = OPTIONS[options]
    X, y = LABELLED[loss]
    assert_goes_on(killer, tmp_path, lambda **more: LinearModel(loss, **{"max_epochs": 5, **options}).fit(X, y, **more))


def test_sample_weights_and_separate_examples(killer, tmp_path):
    weights = RNG.integers(0, 4, N) / 2

    def fit(**more):
        model = LinearModel("squared", max_epochs=5, learning_rate=0.1)
        return model.fit(DENSE, Y, valid=(DENSE[:50], Y[:50]), sample_weight=weights, **more)

    assert_goes_on(killer, tmp_path, fit)


def test_a_warm_start(killer, tmp_path):
    first = LinearModel("squared", max_epochs=2, warm_start=True, learning_rate=0.1).fit(DENSE, Y)
    file = io.BytesIO()
    first.save(file)

    def fit(**more):
        file.seek(0)
        return LinearModel.load(file, max_epochs=4).fit(DENSE, Y, **more)

    assert_goes_on(killer, tmp_path, fit)


def test_more_epochs_and_more_patience(tmp_path):
    def fit(epochs, patience=5, **more):
        model = LinearModel("squared", max_epochs=epochs, patience=patience, learning_rate=0.5, implicit=False)
        return model.fit(DENSE, Y, valid=0.3, **more)

    fit(2, checkpoint=tmp_path)
    assert bits(fit(7, 0, checkpoint=tmp_path, resume=True)) == bits(fit(7, 0))
    assert fit(7, 0).stopped_because == "patience"
    assert bits(fit(9, 6, checkpoint=tmp_path, resume=True)) == bits(fit(9, 6))


@pytest.fixture
def small_buffers(monkeypatch):
    monkeypatch.setattr(stream_text, "BLOCK", 4000)
    monkeypatch.setitem(fit_stream.__kwdefaults__, "buffer", 1500)


def source_of(tmp_path, loss, once):
    """A file, or standard input that has the same text."""
    text = text_of(LABELS[loss])
    if once:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode())))
        return "-"
    path = tmp_path / "examples.svm"
    if not path.exists():
        path.write_text(text)
    return path


STREAMED = {
    "epochs": ("squared", {}, {}, (1, 2)),
    "within epochs": ("squared", {}, {"every": "0.0001s"}, (3, 2, 6)),
    "no average": ("logistic", {"average": False, "learning_rate": 0.1}, {"every": "0.0001s"}, (4, 1)),
    "average of the last": ("logistic", {"average": 2, "learning_rate": 0.1}, {"every": "0.0001s"}, (4, 5)),
    "validation": ("softmax", {"validation": 0.2, "patience": 0, "learning_rate": 0.3}, {"every": "0.0001s"}, (2, 2)),
    "adam in batches": ("softmax", {"method": "adam", "batch_size": 7}, {"every": "0.0001s"}, (5,)),
    "hashed": ("squared", {"hash_bits": 4, "learning_rate": 0.1, "l2": 1e-4}, {"every": "0.0001s"}, (5, 2)),
}


MORE_STREAMED = {"no average", "adam in batches", "hashed"}


@pytest.mark.parametrize("case", [pytest.param(x, marks=[pytest.mark.slow] * (x in MORE_STREAMED)) for x in STREAMED])
def test_of_a_stream(killer, tmp_path, small_buffers, case):
    loss, options, more, times = STREAMED[case]

    def fit(**how):
        stream = Stream(source_of(tmp_path, loss, False), hash_bits=options.get("hash_bits"))
        return LinearModel(loss, **{"max_epochs": 4, **options}).fit(stream, **how)

    assert_goes_on(killer, tmp_path / "run", fit, times, **more)


@pytest.mark.parametrize("scale", ["maxabs", "auto", "none"])
def test_of_a_stream_that_is_read_once(killer, tmp_path, small_buffers, monkeypatch, scale):
    """It is read again from its beginning, up to the place of the checkpoint: its scales grow as before."""
    monkeypatch.setattr(sys, "stdin", sys.stdin)

    def fit(**how):
        return LinearModel("squared", scale=scale, learning_rate=0.1).fit(
            Stream(source_of(tmp_path, "squared", True)), **how
        )

    assert_goes_on(killer, tmp_path / "run", fit, (2, 1, 2), every="0.0001s")


@pytest.mark.parametrize(("once", "times"), [(False, (2, 3, 6)), (True, (2, 1))], ids=["file", "standard input"])
def test_of_a_stream_with_a_warm_start(killer, tmp_path, small_buffers, monkeypatch, once, times):
    """No pass is made before the first epoch, whose blocks come in the order of the file."""
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    first = LinearModel("squared", max_epochs=1, learning_rate=0.1)
    first.fit(Stream(source_of(tmp_path, "squared", False))).save(tmp_path / "model")

    def fit(**how):
        model = LinearModel.load(tmp_path / "model", max_epochs=1 if once else 3, warm_start=True)
        return model.fit(Stream(source_of(tmp_path, "squared", once), n_features=6 if once else None), **how)

    assert_goes_on(killer, tmp_path / "run", fit, times, every="0.0001s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_ctrl_c_in_a_stream_writes_a_checkpoint_within_the_epoch(tmp_path, small_buffers, monkeypatch, number):
    from fastadagrad.linear.fed import Fed

    train, calls = Fed.train, []

    def interrupted(self, order):
        calls.append(order)
        if len(calls) == 25:
            signal.raise_signal(number)
        return train(self, order)

    def fit(**how):
        stream = Stream(source_of(tmp_path, "squared", False))
        return LinearModel("squared", max_epochs=3, learning_rate=0.1).fit(stream, **how)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(Fed, "train", interrupted)
            assert fit(checkpoint=tmp_path / "run").stopped_because == "interrupted"
    finally:
        signal.signal(signal.SIGTERM, before)
    name = max(os.listdir(tmp_path / "run"))
    header, _ = array_file.read(tmp_path / "run" / name, "fit of a linear model")
    assert header["epoch"] < 3
    assert header["stream"]["buffers"] > 0
    assert bits(fit(checkpoint=tmp_path / "run", resume=True)) == bits(fit())


@pytest.mark.parametrize("every", [1, "1h"])
def test_ctrl_c_at_the_end_of_an_epoch(tmp_path, small_buffers, every):
    """The epoch is in the history and not yet in a file: it is done again, and listed once."""

    def fit(progress=False, **how):
        model = LinearModel("squared", max_epochs=3, learning_rate=0.1)
        return model.fit(Stream(source_of(tmp_path, "squared", False)), progress=progress, **how)

    def interrupt(entry):
        if entry["epoch"] == 2:
            raise KeyboardInterrupt

    left = fit(interrupt, checkpoint=tmp_path / "run", every=every)
    assert (left.stopped_because, len(left.history)) == ("interrupted", 2)
    assert bits(fit(checkpoint=tmp_path / "run", resume=True)) == bits(fit())


class TestRefusals:
    def fit(self, folder, X=DENSE, y=Y, valid=0.0, resume=True, **options):
        given = {"max_epochs": 2, "learning_rate": 0.1, **options}
        return LinearModel("squared", **given).fit(X, y, valid=valid, checkpoint=folder, resume=resume)

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            ({"learning_rate": 0.2, "l2": 0.5}, r"learning_rate was 0\.1 and is 0\.2, l2 was 0\.0 and is 0\.5"),
            ({"method": "sgd"}, "method was 'adagrad' and is 'sgd'"),
            ({"X": DENSE + 1e-9}, r"examples was \[300, 5, "),
            ({"y": Y[::-1]}, "examples was"),
            ({"valid": 0.5}, "valid was None and is "),
        ],
        ids=str,
    )
    def test_another_fit(self, tmp_path, other, message):
        self.fit(tmp_path)
        before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
        with pytest.raises(ValueError, match=f"is of another fit: .*{message}"):
            self.fit(tmp_path, **other)
        assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before

    def test_without_resume(self, tmp_path):
        self.fit(tmp_path)
        with pytest.raises(ValueError, match="has checkpoints of an earlier run"):
            self.fit(tmp_path, resume=False)

    def test_an_optimizers_folder(self, tmp_path):
        import fastadagrad as fa

        fa.SGD(lambda w: (w @ w, 2 * w), np.ones(2)).minimize(max_epochs=2, checkpoint=tmp_path)
        with pytest.raises(ValueError, match="is a fastadagrad optimizer file; expected kind: fit of a linear model"):
            self.fit(tmp_path)

    def test_another_stream(self, tmp_path, small_buffers, killer):
        path = source_of(tmp_path, "squared", False)

        def fit():
            model = LinearModel("squared", max_epochs=2, learning_rate=0.1)
            return model.fit(Stream(path), checkpoint=tmp_path / "run", every="0.0001s", resume=True)

        killer.kill(2, fit)
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(ValueError, match=r"is of another fit: .*scales was"):
            fit()

    def test_fields_of_other_kinds_are_damage(self, tmp_path, small_buffers, killer):
        """Of a checkpoint within an epoch of a stream; the one before it is taken then."""
        path, kind = source_of(tmp_path, "squared", False), "fit of a linear model"

        def fit(folder):
            model = LinearModel("squared", max_epochs=2, learning_rate=0.1)
            return model.fit(Stream(path), checkpoint=folder, every="0.0001s", resume=True)

        killer.kill(3, lambda: fit(tmp_path / "run"))
        newest = tmp_path / "run" / max(os.listdir(tmp_path / "run"))
        header, arrays = array_file.read(newest, kind)
        Taken(newest)

        def assert_damaged(changed, others=arrays):
            array_file.write(newest, kind, changed, others)
            with pytest.raises(Damaged, match=r"is not a whole fastadagrad fit of a linear model file"):
                Taken(newest)

        for place in places(header):
            for wrong in (None, "text", [1.5, "a"], {"surprise": 1}, True):
                if not alike(wrong, value_at(header, place)):
                    assert_damaged(altered(header, place, wrong))
        for name in arrays:
            assert_damaged(header, {other: array for other, array in arrays.items() if other != name})
            assert_damaged(header, {**arrays, name: arrays[name][..., None][:0]})
        assert bits(fit(tmp_path / "run")) == bits(fit(tmp_path / "other"))


OPEN = {"about", "random", "history", "visits", "means", "mean", "before", "sample", "counts"}  # judged as wholes


def places(part, at=()):
    for name, value in part.items():
        yield (*at, name)
        if isinstance(value, dict) and name not in OPEN:
            yield from places(value, (*at, name))


def value_at(part, place):
    for name in place:
        part = part[name]
    return part


def altered(header, place, value):
    changed = copy.deepcopy(header)
    value_at(changed, place[:-1])[place[-1]] = value
    return changed


def alike(wrong, value):
    """Whether a value of the kind of `wrong` may stand in the place of `value`."""
    may_be_none = isinstance(value, dict) or value is None or isinstance(value, float)
    return type(wrong) is type(value) or (wrong is None and may_be_none) or (wrong is True and isinstance(value, bool))


def test_a_checkpoint_that_cannot_be_written(tmp_path, monkeypatch, caplog):
    """The fit goes on, and tells of it at the end, once the model is trained."""
    no_room_for(monkeypatch, "checkpoint-00000002")
    model = LinearModel("squared", max_epochs=3, learning_rate=0.1)
    with pytest.raises(OSError, match="No space left on device") as caught:
        model.fit(DENSE, Y, checkpoint=tmp_path)
    assert caught.value.filename == str(tmp_path / "checkpoint-00000002.npz")
    assert "training goes on" in caplog.text
    assert bits(model) == bits(LinearModel("squared", max_epochs=3, learning_rate=0.1).fit(DENSE, Y))
    assert os.listdir(tmp_path) == ["checkpoint-00000001.npz"]


def test_wide_models_leave_out_what_is_untouched(killer, tmp_path):
    X = scipy.sparse.random(N, 1 << 17, 0.0001, random_state=1, format="csr")
    y = np.sign(X @ RNG.normal(size=1 << 17))
    assert_goes_on(killer, tmp_path, lambda **more: LinearModel("squared", max_epochs=3).fit(X, y, **more), (1,))
    assert max(os.path.getsize(tmp_path / name) for name in os.listdir(tmp_path)) < 1 << 18
