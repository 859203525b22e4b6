"""Word vectors after GloVe, from the docstrings of Python's standard library.

    J = sum over i, j of f(X_ij) * (w_i . c_j + b_i + d_j - log X_ij)**2,    f(x) = min(1, (x / 10)**0.75)

X_ij counts how often words i and j are found near each other, a pair at a distance of k words as 1/k; a word's vector
is w_i + c_i (J. Pennington, R. Socher, C. D. Manning: GloVe, EMNLP 2014). The modules are read, not imported; words
that bind sentences ("the", "of", "if") are left out. A batch of pairs has gradients for the rows of its words only.

    python examples/word_vectors.py                               # nearest neighbours of some words
    python examples/word_vectors.py more.txt books/*.txt          # with texts of your own beside the docstrings
    python examples/word_vectors.py --plot word_vectors.png       # and a picture; needs matplotlib
"""

import argparse
import ast
import os
import re
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np

import fastadagrad as fa

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
NOT_LIBRARY = {"test", "tests", "idlelib", "site-packages", "dist-packages", "__pycache__"}
BINDING = """
    a about all also an and any are as at be been being both but by can could did do does doesn don each either every
    for from had has have he how i if in into is it its like may might more most must no nor not of on one only or other
    our out per same shall she should so some such than that the their them then there these they this those to two up
    use used uses using very via was we were what when where which who will with without would you your
"""
PROBES = "file string list thread socket int read error time true server class seconds"
TOPICS = {
    "files": "file files filename directory path open close read write mode archive descriptor",
    "text": "string strings character characters line lines text encoding bytes unicode pattern match",
    "numbers": "int integer float decimal digits zero negative positive number sum",
    "containers": "list tuple dict dictionary sequence iterable mapping key keys items element",
    "objects": "class classes method methods attribute instance function argument arguments module",
    "network": "socket server client port host address connection request response http smtp",
    "concurrency": "thread threads process lock queue event loop wait timeout seconds time",
}
COLORS = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"]  # Okabe and Ito's, for all eyes
SIDES = [("left", 7, 0), ("right", -7, 0), ("center", 0, 9), ("center", 0, -9)]  # of a dot, where its word may stand


def docstrings():
    """Those of the standard library, as found in its source files."""
    for folder, folders, files in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = sorted(set(folders) - NOT_LIBRARY)
        for name in sorted(files):
            if name.endswith(".py"):
                for node in ast.walk(ast.parse(Path(folder, name).read_bytes())):
                    if isinstance(node, DOCUMENTED):
                        yield ast.get_docstring(node) or ""


def count_pairs(texts, min_count, window):
    """The words seen often enough, most frequent first, and i, j and X_ij of all pairs that occur."""
    binding = set(BINDING.split())
    texts = [[word for word in re.findall("[a-z]{2,}", text.lower()) if word not in binding] for text in texts]
    counts = Counter(word for text in texts for word in text)
    words = [word for word, count in counts.most_common() if count >= min_count]
    index = {word: i for i, word in enumerate(words)}
    gap = [-1] * window  # no pair reaches from one text into the next
    stream = np.array([i for text in texts for i in [*(index[word] for word in text if word in index), *gap]])
    pairs, weights = [], []
    for distance in range(1, window + 1):
        i, j = stream[:-distance], stream[distance:]
        near = (i >= 0) & (j >= 0)
        pairs += [i[near] * len(words) + j[near], j[near] * len(words) + i[near]]
        weights += [np.full(2 * near.sum(), 1 / distance)]
    pairs, which = np.unique(np.concatenate(pairs), return_inverse=True)
    return words, *np.divmod(pairs, len(words)), np.bincount(which, np.concatenate(weights))


def loss(params, i, j, log_x, f):
    """Mean of J's terms, and the gradients of the rows that they read."""
    w, c = params["w"][i], params["c"][j]
    error = np.einsum("nk,nk->n", w, c) + params["b"][i] + params["d"][j] - log_x
    slope = 2 * f * error / error.size
    dw, dc = slope[:, None] * c, slope[:, None] * w
    gradients = {"w": fa.Rows(i, dw), "c": fa.Rows(j, dc), "b": fa.Rows(i, slope), "d": fa.Rows(j, slope)}
    return f * error @ error / error.size, gradients


def train(n_words, i, j, x, epochs, size=50):
    """The optimizer after its work; the parameters are in it."""
    rng = np.random.default_rng(0)
    w, c = (rng.random((2, n_words, size), np.float32) - 0.5) / size
    params = {"w": w, "c": c, "b": np.zeros(n_words, np.float32), "d": np.zeros(n_words, np.float32)}
    opt = fa.ADAGRAD(loss, params, learning_rate=0.05)
    data = [i, j, np.log(x).astype(np.float32), np.minimum(1, (x / 10) ** 0.75).astype(np.float32)]
    opt.minimize(data, batch_size=8192, max_epochs=epochs, validate_every=epochs, rng=rng)
    return opt


def nearest(word, words, vectors, n=8):
    """The words whose vectors have the smallest angles with that of `word`."""
    order = np.argsort(-vectors @ vectors[words.index(word)])
    return [words[k] for k in order if words[k] != word][:n]


def draw(figure, words, vectors):
    """The words of TOPICS where their vectors have them; colours are by topic. What would cover others is left out."""
    topic = {word: k for k, members in enumerate(TOPICS.values()) for word in members.split()}
    shown = [word for word in words if word in topic]
    chosen = vectors[[words.index(word) for word in shown]]
    chosen = chosen - chosen.mean(axis=0)
    _, spread, directions = np.linalg.svd(chosen, full_matrices=False)
    points, share = chosen @ directions[:2].T, spread**2 / (spread**2).sum()
    plot = figure.add_subplot(title="GloVe vectors of words in docstrings, in the plane in which they differ most")
    plot.set_xlabel(f"first principal component ({share[0]:.0%} of the variance)")
    plot.set_ylabel(f"second principal component ({share[1]:.0%})")
    for name, color in zip(TOPICS, COLORS, strict=True):
        plot.scatter([], [], color=color, label=name)
    plot.update_datalim(points)
    plot.autoscale_view()
    legend = plot.legend(loc="upper left")
    figure.draw_without_rendering()  # settles where things are
    taken = [legend.get_window_extent()]
    for word, point in zip(shown, points, strict=True):
        dot = plot.annotate("\u25cf", point, ha="center", va="center", color=COLORS[topic[word]])
        for side, *offset in SIDES:
            label = plot.annotate(word, point, offset, textcoords="offset points", ha=side, va="center")
            boxes = [dot.get_window_extent(), label.get_window_extent()]
            if not any(box.overlaps(other) for box in boxes for other in taken):
                taken += boxes
                break
            label.remove()
        else:
            dot.remove()


def main(files=(), min_count=10, window=8, epochs=20):
    """The words, most frequent first, their vectors, of length 1, and the optimizer."""
    texts = [*docstrings(), *(Path(file).read_text(encoding="utf-8", errors="replace") for file in files)]
    words, i, j, x = count_pairs(texts, min_count, window)
    opt = train(len(words), i, j, x, epochs)
    vectors = opt.params["w"] + opt.params["c"]
    return words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), opt


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Word vectors from docstrings.")
    parser.add_argument("files", nargs="*", help="texts to read beside the docstrings")
    parser.add_argument("--plot", metavar="FILE", help="where to put a picture (.png, .svg, .pdf)")
    arguments = parser.parse_args()
    if arguments.plot:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            parser.error("--plot needs matplotlib: pip install matplotlib")
    words, vectors, opt = main(arguments.files)
    print(f"{len(words)} words; loss {opt.history[0].valid['loss']:.4f} -> {opt.best.loss:.4f} in {opt.steps} steps")
    for probe in PROBES.split():
        print(f"{probe:>8}: {' '.join(nearest(probe, words, vectors))}")
    if arguments.plot:
        figure = Figure(figsize=(12, 9), dpi=120, layout="constrained")
        draw(figure, words, vectors)
        figure.savefig(arguments.plot)
