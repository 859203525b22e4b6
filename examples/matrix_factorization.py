"""A matrix of data as coefficients times a basis, with penalties that keep both small: downhill's first example.

python examples/matrix_factorization.py
"""

import numpy as np

import fastadagrad as fa

ROWS, COLUMNS, RANK = 20, 5, 3


def loss(params, y):
    """Mean squared error, plus the means of |u| and of v squared; and the gradients."""
    u, v = params["u"], params["v"]
    error = u @ v - y
    value = (error**2).mean() + np.abs(u).mean() + (v**2).mean()
    slope = 2 * error / error.size
    return value, {"u": slope @ v.T + np.sign(u) / u.size, "v": u.T @ slope + 2 * v / v.size}


MONITORS = {
    "err": lambda params, y: ((params["u"] @ params["v"] - y) ** 2).mean(),
    "|u|<0.1": lambda params, y: (np.abs(params["u"]) < 0.1).mean(),
    "|v|<0.1": lambda params, y: (np.abs(params["v"]) < 0.1).mean(),
}


def main():
    """The optimizer after its work, the monitors before and after it, and the data."""
    rng = np.random.default_rng(0)
    params = {"u": rng.standard_normal((ROWS, RANK)), "v": rng.standard_normal((RANK, COLUMNS))}
    y = rng.standard_normal((ROWS, RANK)) @ rng.standard_normal((RANK, COLUMNS)) + rng.standard_normal((ROWS, COLUMNS))

    opt = fa.build("adagrad", loss, params, monitors=MONITORS, monitor_gradients=True)
    before = opt.evaluate([y])
    _, after = opt.minimize([y], batch_size=ROWS, learning_rate=0.1, max_gradient_norm=1, patience=0)
    return opt, before, after, y


if __name__ == "__main__":
    opt, before, after, _ = main()
    print(f"{opt.steps} steps, then {opt.stopped_because}")
    for name in after:
        print(f"{name:>10} {before[name]:8.4f} -> {after[name]:8.4f}")
    print("basis v =", opt.params["v"].round(2), sep="\n")
