"""Calls that type checkers accept, and calls that they refuse: these, and no others, end with `# wrong`.

`tests/test_typed_calls.py` lets mypy look at them and runs none; pyright says the same of them.
"""

from typing import Any, assert_type

import numpy as np

import fastadagrad as fa
from fastadagrad.adaptive import ADAGRAD
from fastadagrad.optimizer.second_order import SecondOrder

w, x, y = np.zeros(2), np.eye(2), np.ones(2)


def loss(w: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(w @ w)


# Of all methods.
fa.ADAGRAD(loss, w, learning_rate=0.1, momentum=0.9, nesterov=True, lazy="touched", threads=None, patience=3)
fa.ADAGRAD(loss, w, None, (), {"size": loss}, True, gradient="autograd", learning_rate=lambda t: 1 / (t + 1))
fa.SGD(params={"w": w}, groups={"w": {"learning_rate": 0.5, "frozen": True}}, weight_decay=1, l1=0.5)
fa.SGD(loss, w, (), (), (), False, None)  # wrong
fa.SGD(loss, w, learning_rat=0.1)  # wrong
fa.SGD(loss, w, learning_rate="fast")  # wrong
fa.SGD(loss, w, learning_rate=None)  # wrong
fa.SGD(loss, w, lazy="never")  # wrong
fa.SGD(loss, w, nonfinite=True)  # wrong
fa.SGD(loss, w, patience=0.5)  # wrong
fa.SGD(loss, w, nesterov="yes")  # wrong
fa.SGD(loss, w, groups={"w": 0.5})  # wrong
fa.SGD(loss, w, gradient="numerical")  # wrong
fa.SGD(loss, w, batch_size=32)  # wrong

# Of one method.
ADAGRAD(params=w, rms_regularizer=1e-8, epsilon_inside=True, initial_accumulator_value=0.1, accumulator="row")
ADAGRAD(params=w, accumulator="column")  # wrong
ADAGRAD(params=w, beta1_halflife=3)  # wrong
ADAGRAD(params=w, hv="differences")  # wrong
fa.SGD(params=w, accumulator="row")  # wrong
fa.SGD(params=w, rms_regularizer=1e-8)  # wrong
fa.NAG(params=w, momentum=0.9)
fa.NAG(params=w, rms_halflife=3)  # wrong
fa.RProp(params=w, rprop_increase=1.5, rprop_decrease=0.5, rprop_min_step=0, rprop_max_step=1, momentum=0.5)
fa.RProp(params=w, l1=0.1)  # wrong
fa.RMSProp(params=w, rms_halflife=3, rms_regularizer=1e-8, epsilon_inside=False, centered=False, l2=0.5)
fa.RMSProp(params=w, centred=False)  # wrong
fa.RMSProp(params=w, amsgrad=True)  # wrong
fa.ADADELTA(params=w, rms_halflife=3, rms_regularizer=1e-8)
fa.ADADELTA(params=w, centered=False)  # wrong
fa.ADADELTA(params=w, l2=0.5)  # wrong
fa.Adam(params=w, beta1_halflife=6.5788, beta2_halflife=692.8, rms_regularizer=1e-8, amsgrad=True, l1=0.1)
fa.Adam(params=w, beta1=0.9)  # wrong
fa.Adam(params=w, rms_halflife=3)  # wrong
fa.AdaMax(params=w, beta1_halflife=6.5788, beta2_halflife=692.8, rms_regularizer=1e-8, decoupled_weight_decay=0.5)
fa.AdaMax(params=w, amsgrad=True)  # wrong
fa.AdaGradDA(params=w, rms_regularizer=0, initial_accumulator_value=0.1, rda_l1=0.5, weight_decay=0.5)
fa.AdaGradDA(params=w, momentum=0.9)  # wrong
fa.AdaGradDA(params=w, l1=0.5)  # wrong
fa.RDA(params=w, rda_l1=0.5)
fa.RDA(params=w, rms_regularizer=0)  # wrong
fa.RDA(params=w, decoupled_weight_decay=0.5)  # wrong
fa.FTRL(params=w, ftrl_beta=1, ftrl_l1=0.5, ftrl_l2=0.5, initial_accumulator_value=0.1)
fa.FTRL(params=w, l2=0.5)  # wrong
fa.FTRL(params=w, nesterov=True)  # wrong
fa.COCOB(params=w, cocob_alpha=10)
fa.COCOB(params=w, momentum=0.5)  # wrong
fa.COCOB(params=w, initial_distance=0.5)  # wrong
fa.DoG(params=w, initial_distance=0.5, rms_regularizer=1e-8, momentum=0.5)
fa.DoG(params=w, dadapt_growth=2)  # wrong
fa.DoG(params=w, decoupled_weight_decay=0.5)  # wrong
fa.DoWG(params=w, initial_distance=0.5, rms_regularizer=1e-8)
fa.DoWG(params=w, l1=0.5)  # wrong
fa.DAdaptAdaGrad(params=w, initial_distance=0.5, dadapt_growth=2, rms_regularizer=0, initial_accumulator_value=0.1)
fa.DAdaptAdaGrad(params=w, momentum=0.5)  # wrong
fa.ESGD(params=w, rms_halflife=3, rms_regularizer=0, epsilon_inside=True, averaged=True, hv="autograd", hv_rng=0)
fa.ESGD(params=w, hv="numerical")  # wrong
fa.ESGD(params=w, centered=True)  # wrong

# Of what makes and runs any of them.
assert_type(fa.build("adam", loss, w, beta1_halflife=3, monitor_gradients=True), fa.Adam)
assert_type(fa.build("esgd", loss, w, hv="differences"), fa.ESGD)
opt = fa.build("AdaGrad", loss, w, learning_rate=0.1)
assert_type(opt, fa.Optimizer)
fa.build("adam", loss, w, beta1=0.9)  # wrong
fa.build(3, loss, w)  # wrong
for train, valid in opt.iterate([x, y], batch_size=2, max_epochs=3, learning_rate=0.5):
    assert_type(train["loss"] - valid["loss"], float)
opt.iterate([x, y], learning_rates=0.5)  # wrong
opt.hyper.learning_rate *= 0.5
opt.hyper.learning_rate = lambda t: 1 / (t + 1)
opt.hyper.update(momentum=0.5, groups={})
assert_type(opt.hyper.momentum, float)
opt.hyper["of_a_rule_of_ones_own"] = 0.5
opt.hyper.learning_rat = 0.1  # wrong
opt.hyper.learning_rate = "fast"  # wrong
opt.hyper.lazy = "never"  # wrong
opt.hyper.update(momentun=0.5)  # wrong
opt.learning_rate = 0.1  # wrong
fa.ADAGRAD(loss, w, **fa.like("torch"))
fa.like("pytorch")  # wrong
assert_type(opt.history.to_dict(), dict[str, list[Any]])
opt.iterate([x, y], max_epochs="all")  # wrong
opt.minimize([x, y], None, 100, progress=True, min_improvement=0.1)
opt.minimize([x, y], batchsize=2)  # wrong
opt.minimize([x, y], max_updates=0.5)  # wrong
opt.minimize([x, y], None, 100, 10)  # wrong
fa.minimize(loss, [x, y], params=w, algo="ftrl", ftrl_l1=0.5, batch_size=2, inputs=["x", "y"], rng=0)
fa.minimize(loss, [x, y], params=w, ftrl_l3=0.5)  # wrong
fa.minimize(loss, [x, y], params=w, batch_size="all")  # wrong
fa.minimize(loss, [x, y], params=w, algo=fa.FTRL)  # wrong
for name, update in opt.get_updates(batch_size=2, learning_rate=0.1):
    assert_type(name, str)
    update(w)
opt.get_updates(batch=2)  # wrong
adagrad = fa.compiled_update("adagrad", dtype=np.float32, ndim=2, learning_rate=0.1, rms_regularizer=0)
assert_type(adagrad, fa.CompiledUpdate)
assert_type(fa.compiled_update("sgd", target="cuda"), fa.CudaUpdate)
on_gpu = fa.compiled_update("sgd", target="cuda").threaded  # wrong
fa.compiled_update("sgd", target="gpu")  # wrong
fa.compiled_update("adagrad", ndims=2)  # wrong
fa.compiled_update("adagrad", learning_rate=None)  # wrong


# Of subclasses.
class Mine(fa.ADAGRAD):
    def __init__(self, size: int, learning_rate: float = 0.1) -> None:
        super().__init__(loss, np.zeros(size), learning_rate=learning_rate)


assert_type(Mine(3).twin(), Mine)
Mine(3, momentum=0.5)  # wrong
second: SecondOrder = fa.ESGD(loss, w)
second.step(w, second.draw_vectors())

# Of linear models.
fa.LinearModel("poisson", method="ftrl", ftrl_l1=0.1, learning_rate="auto", lazy="touched")
fa.LinearModel("quantile", quantile=0.9, rms_regularizer=1e-8, learning_rate=None)
fa.LinearModel("gamma")  # wrong
fa.LinearModel(quantile="median")  # wrong
fa.LinearModel(ftrl_l=0.1)  # wrong
fa.LinearModel(method="adam", amsgrad="yes")  # wrong
fa.LinearModel(method="dog", initial_distance=0.1)  # wrong
