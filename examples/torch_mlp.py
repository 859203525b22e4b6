"""A torch.nn.Module that reads handwritten digits, trained by fastadagrad in the tensors' own memory.

The optimizer's parameters are those of the module and its gradients are their `.grad`: neither is copied, which `main`
asserts by addresses for the parameters. The loss goes by the parameters that it is given, so that it also serves copies
of the optimizer, such as those that `fastadagrad.find_learning_rate` tries rates with.

    pip install "fastadagrad[torch,fit]"
    python examples/torch_mlp.py
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.func import functional_call

import fastadagrad as fa


def addresses(tensors):
    return {name: tensor.data_ptr() for name, tensor in tensors.items()}


def main():
    """Accuracy on 360 digits that were never seen, the optimizer, and the module."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    cross_entropy = nn.CrossEntropyLoss()

    def loss(params, x, digit):
        """The loss and its gradients."""
        for tensor in params.values():
            tensor.grad = None
        value = cross_entropy(functional_call(model, params, torch.from_numpy(x)), torch.from_numpy(digit))
        value.backward()
        return value, {name: tensor.grad for name, tensor in params.items()}

    @torch.no_grad()
    def accuracy(params, x, digit):
        return (
            (functional_call(model, params, torch.from_numpy(x)).argmax(dim=1) == torch.from_numpy(digit))
            .double()
            .mean()
        )

    x, digit = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, valid, test = np.split(np.random.default_rng(0).permutation(len(x)), [1077, 1437])
    params = dict(model.named_parameters())
    before = addresses(params)
    as_numpys = {name: np.from_dlpack(tensor.detach()).ctypes.data for name, tensor in params.items()}
    opt = fa.ADAGRAD(loss, params, gradient=True, monitors={"accuracy": accuracy}, learning_rate=0.05)
    opt.minimize([x[train], digit[train]], [x[valid], digit[valid]], max_epochs=30, validate_every=1, patience=3, rng=0)
    after = addresses(dict(model.named_parameters()))
    assert before == after == as_numpys, "the parameters have been copied"
    return opt.evaluate([x[test], digit[test]])["accuracy"], opt, model


if __name__ == "__main__":
    reached, opt, _ = main()
    for epoch in opt.history:
        print(f"epoch {epoch.epoch:2}: loss {epoch.train['loss']:.4f}, validation {epoch.valid['loss']:.4f}")
    print(f"accuracy on unseen digits: {reached:.3f} ({opt.steps} steps, {opt.stopped_because})")
