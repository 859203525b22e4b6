"""
How many processes
==================

An optimizer with ``comm=`` divides the work and the memory of a step among processes, which then have to send each
other gradients and parameters. ``fastadagrad plan`` predicts what that costs; nothing is trained here, and no MPI is
needed.
"""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np

RANKS = np.unique(np.geomspace(1, 1000, 60).round().astype(int))


def plan(*options):
    """What the command prints with --json, as columns."""
    command = [sys.executable, "-m", "fastadagrad", "plan", "--json", "--ranks", ",".join(map(str, RANKS)), *options]
    lines = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["lines"]
    return {name: np.array([line[name] for line in lines], float) for name in lines[0]}


# %%
# Dense gradients
# ---------------
#
# Of 100 million parameters each process sends all but its own part, and gets back all but that part: almost twice the
# parameters, however many processes there are. The work in memory is divided, so that the step approaches the time of
# sending. With a thousand processes the latency of their messages begins to count. Up to 16 processes send a gradient
# in pieces, with more messages, to need less memory.


def draw(found, title):
    axes = plt.figure(figsize=(6.4, 4.2), layout="constrained").add_subplot()
    for name, style in (("", "-"), ("compute_", "--"), ("transfer_", "-."), ("latency_", ":")):
        seconds = np.where(found[f"{name}seconds"] > 0, found[f"{name}seconds"], np.nan)
        label = name.rstrip("_") or "step"
        axes.loglog(found["ranks"], 1e3 * seconds, style, linewidth=1.8 if name else 3.2, label=label)
    axes.set(xlabel="processes", ylabel="milliseconds", title=title)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.4g}")
    axes.grid(alpha=0.3)
    axes.legend()
    plt.show()


dense = plan("--params", "100M")
draw(dense, "A step of 100 million float32, at 12.5 GB/s and 5 us")

# %%
# Rows
# ----
#
# Of rows, each process sends those that its own share of the batch names. Here a step touches 1,048,576 rows of 64, of
# a table of 10 million, and both what is sent and the work are divided, until latency is all that is left.

rows = plan("--rows", "1048576", "--width", "64", "--table-rows", "10M")
draw(rows, "A step by a million rows of 64")

best = rows["ranks"][np.argmin(rows["seconds"])]
print(f"rows: {best:.0f} processes are the quickest, {rows['seconds'][0] / rows['seconds'].min():.0f} times one")

# %%
# Memory
# ------
#
# The state is divided, and the parameters are not: of AdaGrad's two arrays one stays whole in each process, beside the
# gradient and, from 17 processes on, a buffer for the gradients of others. Methods with more state have more to gain.

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for method, style in (("adagrad", "-"), ("adam", "--"), ("cocob", "-.")):
    found = dense if method == "adagrad" else plan("--params", "100M", "--method", method)
    axes.semilogx(found["ranks"], found["memory_bytes"] / 1e9, style, label=method)
axes.set(xlabel="processes", ylabel="GB a process", ylim=(0, None), title="Memory for 100 million parameters")
axes.xaxis.set_major_formatter("{x:,.0f}")
axes.grid(alpha=0.3)
axes.legend()
plt.show()
