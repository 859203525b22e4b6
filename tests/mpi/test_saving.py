"""Files that several processes write together, for which threads stand in, and go on from in any number."""

import errno
import io
import os
import re

import numpy as np
import pytest
from by_processes import CASES, OPTIONS, STEPS, for_rows, optimizer_of, stepped, takes_rows
from in_step import run

import fastadagrad as fa
from fastadagrad.support import array_file, parted_file


def params_of(size, work):
    """Parameters that `work(comm)` returns, in one process or several, in all of which they are the same."""
    found = run(size, work) if size > 1 else [work(None)]
    digests = [{name: array.tobytes() for name, array in params.items()} for params in found]
    assert all(each == digests[0] for each in digests)
    return digests[0]


def goes_on(folder, sizes, case, method, hyper, dtype, sparse):
    """From a file of `sizes[0]` processes, `sizes[1]` go on with the bits of one that does not stop."""
    first, then = sizes
    path, half = folder / f"{case}.npz", STEPS // 2

    def begin(comm):
        opt, params = optimizer_of(method, hyper, dtype, comm)
        stepped(opt, range(half), first, dtype, sparse, comm)
        opt.save(path)
        return params

    def end(comm):
        opt, params = optimizer_of(method, hyper, dtype, comm)
        assert opt.load(path) == []
        stepped(opt, range(half, STEPS), first, dtype, sparse, comm, of_one=comm is not None)
        opt.flush()
        assert opt.steps == STEPS
        return params

    def whole(comm):
        opt, params = optimizer_of(method, hyper, dtype, comm)
        stepped(opt, range(half), first, dtype, sparse)
        opt.flush()  # as save does
        stepped(opt, range(half, STEPS), first, dtype, sparse)
        opt.flush()
        return params

    params_of(first, begin)
    assert params_of(then, end) == params_of(1, whole)


@pytest.mark.parametrize("case", CASES)
def test_the_same_bits_in_fewer_processes(tmp_path, case):
    goes_on(tmp_path, (3, 2), case, *CASES[case], np.float32, sparse=False)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1, 3), (4, 1), (2, 7)])
@pytest.mark.parametrize("case", ["adagrad", "adam", "dog", "dadapt_adagrad", "ftrl", "esgd", *OPTIONS])
def test_the_same_bits_in_any_number_of_processes(tmp_path, case, sizes):
    goes_on(tmp_path, sizes, case, *CASES[case], np.float64, sparse=False)
    if takes_rows(case):
        goes_on(tmp_path, sizes, case, *for_rows(case), np.float64, sparse=True)


X = np.random.default_rng(0).standard_normal((120, 5000))
Y = X @ np.linspace(-1, 1, 5000)


def squared(w, x, y):
    error = x @ w - y
    return error @ error / len(y), 2 * x.T @ error / len(y)


def of_squares(comm, **hyper):
    return fa.ADAGRAD(squared, np.zeros(5000), learning_rate=0.1, **({} if comm is None else {"comm": comm}), **hyper)


def test_a_run_goes_on_where_it_was_left(tmp_path):
    def left(comm):
        for _ in of_squares(comm).iterate([X, Y], max_epochs=6, rng=0, checkpoint=tmp_path):
            if any(comm.all_of((tmp_path / "checkpoint-00000003.npz").exists())):
                return

    def taken_up(comm):
        opt = of_squares(comm)
        found = opt.minimize([X, Y], max_epochs=6, checkpoint=tmp_path, resume=True)
        return found, opt.params["param0"].tobytes(), opt.best, opt.steps, len(opt.history)

    def whole(comm):
        opt = of_squares(comm)
        found = opt.minimize([X, Y], max_epochs=6, rng=0)
        return found, opt.params["param0"].tobytes(), opt.best, opt.steps, len(opt.history)

    run(3, left)
    assert run(3, taken_up) == run(3, whole)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.name.startswith("end")) == [
        ".0",
        ".1",
        ".2",
        ".npz",
    ]


def test_only_the_parts_of_kept_checkpoints_are_left(tmp_path):
    orphan = tmp_path / "checkpoint-00000001.npz.0123456789ab.0"
    orphan.touch()
    run(3, lambda comm: of_squares(comm).minimize([X, Y], max_epochs=4, checkpoint=tmp_path, keep=1))
    files = sorted(path.name for path in tmp_path.iterdir())
    whole = [name for name in files if name.endswith(".npz")]
    assert whole == ["checkpoint-00000003.npz", "end-00000004.npz"]
    named = [part for name in whole for part in parted_file.named_in(str(tmp_path / name))]
    assert sorted([*whole, *named]) == files
    assert len(named) == 6


def test_a_checkpoint_without_a_part_is_passed_over(tmp_path):
    def begin(comm):
        of_squares(comm).minimize([X, Y], max_epochs=3, rng=0, checkpoint=tmp_path, keep=None)

    def taken_up(comm):
        opt = of_squares(comm)
        opt.load(tmp_path)
        return opt.steps

    run(2, begin)
    newest, before = sorted(tmp_path.glob("*.npz"), reverse=True, key=lambda path: path.name[-12:])[:2]
    for part in tmp_path.glob(f"{newest.name}.*.1"):
        part.unlink()
    with pytest.warns(UserWarning, match="its part .* is not beside it .*: the checkpoint before it is taken"):
        found = run(3, taken_up)
    opt = of_squares(None)
    opt.load(before)
    assert found == [opt.steps] * 3


def fails_in(rank, number):
    """A function in the place of `write_part` that fails in one process."""
    real = parted_file.write_part

    def write_part(path, ident, pieces):
        if path.endswith(f".{rank}"):
            raise OSError(number, os.strerror(number), path)
        return real(path, ident, pieces)

    return write_part


def test_what_one_process_cannot_write_none_has_written(tmp_path, monkeypatch):
    def save(comm, good):
        opt = of_squares(comm)
        opt.step(np.ones(5000))
        if good:
            opt.save(tmp_path / "file.npz")
        else:
            with pytest.raises(OSError, match="No space left on device"):
                opt.save(tmp_path / "file.npz")

    run(3, lambda comm: save(comm, good=True))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(parted_file, "write_part", fails_in(1, errno.ENOSPC))
    run(3, lambda comm: save(comm, good=False))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    monkeypatch.setattr(array_file, "write", full_for_wholes(array_file.write))
    run(3, lambda comm: save(comm, good=False))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def full_for_wholes(real):
    def write(path, kind, *contents):
        if kind == "optimizer":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        real(path, kind, *contents)

    return write


def test_parts_that_not_all_processes_see(tmp_path, monkeypatch):
    def save(comm):
        with pytest.raises(OSError, match="the folder must be one that all processes see"):
            of_squares(comm).save(tmp_path / "file.npz")

    real = parted_file.write_part
    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()

    def write_part(path, ident, pieces):
        there = elsewhere / os.path.basename(path)
        return real(str(there) if path.endswith("2") else path, ident, pieces)

    monkeypatch.setattr(parted_file, "write_part", write_part)
    run(3, save)
    assert [*tmp_path.iterdir()] == [elsewhere]


def test_paths_that_are_none_for_several_processes(tmp_path):
    def save(comm):
        opt = of_squares(comm)
        with pytest.raises(
            TypeError, match="path must be the path of a file, beside which each process writes its part"
        ):
            opt.save(io.BytesIO())
        with pytest.raises(ValueError, match="path differs between processes"):
            opt.save(tmp_path / str(comm.rank))

    run(2, save)
    assert not [*tmp_path.iterdir()]


def test_what_does_not_fit_is_told_of_as_whole(tmp_path):
    def save(comm):
        fa.ADAGRAD(params={"w": np.zeros((4096, 3)), "b": np.zeros(3)}, comm=comm).save(tmp_path / "file.npz")

    def load(comm):
        opt = fa.ADAGRAD(params={"w": np.zeros((9000, 3)), "b": np.zeros(3)}, comm=comm)
        shapes = re.escape("'w' is float64 of shape (4096, 3) in it, and float64 of shape (9000, 3) here")
        with pytest.raises(ValueError, match=shapes):
            opt.load(tmp_path / "file.npz")
        assert len(opt.load(tmp_path / "file.npz", strict=False)) == 1

    run(3, save)
    run(2, load)


def test_parameters_alone(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import load_file

    def export(comm):
        table = np.zeros((5000, 2), np.float32)
        opt = fa.SGD(params={"table": table}, learning_rate=1.0, comm=comm)
        opt.step([fa.Rows(np.array([0, 4999]), np.ones((2, 2), np.float32))])
        opt.export(tmp_path / "weights")

    run(3, export)
    assert load_file(tmp_path / "weights")["table"].sum(axis=0).tolist() == [-2.0, -2.0]


def test_a_parameter_without_a_name_is_no_learned_number(tmp_path):
    def step(comm):
        opt = fa.DAdaptAdaGrad(params={"": np.zeros(5000)}, comm=comm)
        opt.step({"": np.ones(5000)})
        return opt

    def saved(comm):
        opt = step(comm)
        opt.save(tmp_path / "file.npz")
        other = step(comm)
        assert other.load(tmp_path / "file.npz") == []
        return opt.learned == other.learned

    assert run(2, saved) == [True, True]


def test_a_twin(tmp_path):
    def twin(comm):
        opt = of_squares(comm)
        opt.minimize([X, Y], max_epochs=2, rng=0)
        other = opt.twin()
        before = opt.params["param0"].copy()
        assert (other.params["param0"] == before).all()
        assert other.best == opt.best
        other.step(np.ones(5000))
        assert (opt.params["param0"] == before).all()
        opt.step(np.ones(5000))
        return opt.params["param0"].tobytes() == other.params["param0"].tobytes()

    assert run(3, twin) == [True] * 3


def test_the_learning_rate_of_one_process_is_found():
    def found(comm):
        opt = of_squares(comm)
        return fa.find_learning_rate(opt, [X, Y], lowest=1e-3, highest=0.03, per_decade=3, steps=5, rng=0)

    alone, *several = found(None), *run(3, found)
    for each in several:
        np.testing.assert_allclose(each.losses, alone.losses, rtol=1e-9)
        assert each.losses.tobytes() == several[0].losses.tobytes()
    assert len({*run(2, lambda comm: fa.find_learning_rate(of_squares(comm), [X, Y]).learning_rate)}) == 1


def test_a_link_to_a_file(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.npz"
    link.symlink_to(tmp_path / "there" / "file.npz")

    def save(comm):
        opt = of_squares(comm)
        opt.step(np.ones(5000))
        opt.save(link)
        other = of_squares(comm)
        other.load(link)
        return other.steps

    assert run(2, save) == [1, 1]
    assert [path.name for path in tmp_path.glob("link*")] == ["link.npz"]
    of_squares(None).load(tmp_path / "there" / "file.npz")


def test_an_interruption_of_one_process_loses_no_file(tmp_path):
    path = tmp_path / "file.npz"

    def save(comm):
        opt = of_squares(comm)
        for _ in range(2):
            opt.step(np.ones(5000))
            if opt.steps == 1:
                opt.save(path)
        if comm.rank == 0:
            opt.save(path)
            return
        all_of = comm.all_of

        def interrupt(value):
            found = all_of(value)
            if isinstance(value[1], tuple):  # which parts have been written
                raise KeyboardInterrupt
            return found

        comm.all_of = interrupt
        with pytest.raises(KeyboardInterrupt):
            opt.save(path)
        all_of(("a checkpoint", None))  # for which process 0 waits

    run(2, save)
    opt = of_squares(None)
    opt.load(path)
    assert opt.steps == 2


def test_what_killed_processes_have_left_of_parts_is_deleted(tmp_path):
    left = tmp_path / ".file.npz.0123456789ab.1.0123456789ab.tmp"
    left.touch()
    run(2, lambda comm: of_squares(comm).save(tmp_path / "file.npz"))
    assert not left.exists()


def test_a_file_of_one_process_takes_the_place_of_one_in_parts(tmp_path):
    run(2, lambda comm: of_squares(comm).save(tmp_path / "file.npz"))
    assert len([*tmp_path.iterdir()]) == 3
    of_squares(None).save(tmp_path / "file.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["file.npz"]


@pytest.mark.parametrize("name", ["", "new/", ".", "missing/file.npz"])
def test_paths_that_cannot_be_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    def save(comm):
        with pytest.raises(OSError, match=r"Is a directory|No such file"):
            of_squares(comm).save(name)

    run(2, save)
    assert not [*tmp_path.iterdir()]


def test_a_pipe_is_no_path_for_several_processes(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    def save(comm):
        with pytest.raises(ValueError, match="path must be that of a file, beside which each process writes its part"):
            of_squares(comm).save(tmp_path / "pipe")

    run(2, save)


def test_a_file_of_another_kind_keeps_no_parts(tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    path.write_text("something else")
    monkeypatch.setattr(array_file, "write", full_for_wholes(array_file.write))

    def save(comm):
        with pytest.raises(OSError, match="No space left on device"):
            of_squares(comm).save(path)

    run(2, save)
    assert [each.name for each in tmp_path.iterdir()] == ["file.npz"]


def test_a_table_of_another_name_is_not_read(tmp_path, monkeypatch):
    run(2, lambda comm: fa.SGD(params={"other": np.zeros((9000, 2))}, comm=comm).save(tmp_path / "file.npz"))
    opened = []
    real = array_file.read
    monkeypatch.setattr(array_file, "read", lambda path, kind: opened.append(str(path)) or real(path, kind))

    def load(comm):
        with pytest.raises(ValueError, match="it lacks the parameters 'w'; it has also the parameters 'other'"):
            fa.SGD(params={"w": np.zeros(4)}, comm=comm).load(tmp_path / "file.npz")

    run(2, load)
    assert {os.path.basename(path) for path in opened} == {"file.npz"}
