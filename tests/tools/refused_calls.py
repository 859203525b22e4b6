"""Calls of an optimizer that make no sense, by what is wrong with them: each is refused, and changes nothing."""

import copy
import io

import numpy as np

import fastadagrad as fa

CONTRACT = (ValueError, TypeError, IndexError, FloatingPointError, RuntimeError, OSError)


def _with(machine, **gradients):
    """Dense gradients for all parameters, with others for some; what is frozen may be anything, so it is thawed."""
    given = {name: np.ones(p.shape, p.dtype) for name, p in machine.opt.params.items()}
    return given | gradients


def _active(machine, name="a"):
    """Refused is only what is wrong with the gradient of a parameter that is not frozen: raise where it is."""
    if machine.model.is_frozen(name):
        raise ValueError("frozen")
    return machine


def _file(opt):
    file = io.BytesIO()
    opt.save(file)
    return file.getvalue()


def _cut(machine):
    content = _file(machine.opt)
    return io.BytesIO(content[: machine.choices.below(len(content))])


def _flipped(machine):
    content = bytearray(_file(machine.opt))
    content[: 4 + machine.choices.below(20)] = b"damaged, as it is"[: 4 + machine.choices.below(13)]
    return io.BytesIO(bytes(content))


def _of_another(machine):
    other = fa.SGD if machine.kind.method != "SGD" else fa.ADAGRAD
    return io.BytesIO(_file(other(params={name: p.copy() for name, p in machine.opt.params.items()})))


def _with_other_shapes(machine):
    opt = type(machine.opt)(params={name: np.zeros(9) for name in machine.opt.params})
    return io.BytesIO(_file(opt))


def _rows(*arguments):
    return lambda m: _active(m).opt.step(_with(m, a=fa.Rows(*arguments)))


def _wrong(name, gradient):
    return lambda m: _active(m, name).opt.step(_with(m, **{name: gradient}))


def _within(machine, name):
    return machine.opt.params[name].reshape(-1)[:10].reshape(5, 2)


def _hyper(**hyper):
    return lambda m: m.opt.hyper.update(**hyper)


def _best(machine):
    if machine.model.best:
        raise RuntimeError("there is one")
    machine.opt.set_params("best")


REFUSED = {
    "a gradient of another shape": _wrong("a", np.ones((2, 5))),
    "a gradient of another dtype": _wrong("a", np.ones((5, 2), np.float16)),
    "a gradient of ints": _wrong("d", np.ones((7, 3), int)),
    "a gradient in another order": _wrong("d", np.ones((3, 7)).T),
    "a gradient that is None": _wrong("b", None),
    "a gradient that is a word": _wrong("b", "none"),
    "a gradient that lies in another parameter": lambda m: _active(m).opt.step(_with(m, a=_within(m, "d"))),
    "gradients that lack one": lambda m: m.opt.step({"a": np.ones((5, 2))}),
    "gradients with one too many": lambda m: m.opt.step(_with(m, more=np.ones(2))),
    "a list that is too short": lambda m: m.opt.step([np.ones((5, 2))]),
    "no gradients": lambda m: m.opt.step(3),
    "rows beyond the end": _rows(np.array([0, 5]), np.ones((2, 2))),
    "rows before the beginning": _rows(np.array([-1]), np.ones((1, 2))),
    "rows by floats": _rows(np.array([0.0]), np.ones((1, 2))),
    "rows of another width": _rows(np.array([0]), np.ones((1, 3))),
    "rows without all values": _rows(np.array([0, 1]), np.ones((1, 2))),
    "rows of a number": lambda m: _active(m, "c").opt.step(_with(m, c=fa.Rows(np.array([0]), np.ones(1)))),
    "a negative rate": _hyper(learning_rate=-1.0),
    "a rate that is no number": _hyper(learning_rate="fast"),
    "a rate that is not finite": lambda m: setattr(m.opt.hyper, "learning_rate", float("nan")),
    "a rate and an unknown name": _hyper(learning_rate=0.123, odd=1),
    "much momentum": _hyper(momentum=2.0),
    "another treatment of what is not finite": _hyper(nonfinite="maybe"),
    "no patience": _hyper(patience=-1),
    "groups of others": _hyper(groups={"a": {"learning_rate": 0.2}, "z": {}}),
    "groups with an unknown name": _hyper(groups={"a": {"odd": 1}}),
    "groups with a rate that is none": _hyper(groups={"a": {"frozen": True}, "b": {"learning_rate": "x"}}),
    "other limits together": _hyper(max_global_norm=1.0, max_gradient_norm=1.0),
    "parameters of other shapes": lambda m: m.opt.set_params({**_with(m), "d": np.ones(2)}),
    "parameters that lack one": lambda m: m.opt.set_params({"a": np.ones((5, 2))}),
    "parameters that are words": lambda m: m.opt.set_params("worst"),
    "the best of none": _best,
    "a file that is cut": lambda m: m.opt.load(_cut(m)),
    "a file that is damaged": lambda m: m.opt.load(_flipped(m)),
    "a file of another method": lambda m: m.opt.load(_of_another(m)),
    "a file of other shapes": lambda m: m.opt.load(_with_other_shapes(m)),
    "no file": lambda m: m.opt.load("/no/such/folder/file"),
    "a folder that is none": lambda m: m.opt.save("/no/such/folder/file"),
    "rows of no parameter": lambda m: m.opt.read_rows("z", np.array([0])),
    "rows that are read beyond the end": lambda m: m.opt.read_rows("a", np.array([5])),
    "rows that are read by floats": lambda m: m.opt.read_rows("a", np.array([0.5])),
    "rows that are read of a number": lambda m: m.opt.read_rows("c", np.array([0])),
    "an evaluation of words": lambda m: m.opt.evaluate("data"),
    "a run of fewer than no epochs": lambda m: m.opt.iterate(max_epochs=-1),
    "a run of an unknown name": lambda m: m.opt.minimize(odd=1),
    "a run of a negative rate": lambda m: m.opt.minimize(max_epochs=1, learning_rate=-1.0),
    "a run of another state": lambda m: m.opt.minimize(max_epochs=1, accumulator="all"),
    "a run of no data": lambda m: m.opt.minimize(3, max_epochs=1),
    "a copy that shares": lambda m: copy.copy(m.opt),
    "a twin of other shapes": lambda m: m.opt.twin({"a": np.ones(2)}),
    "updates of an unknown name": lambda m: m.opt.get_updates(odd=1),
}
