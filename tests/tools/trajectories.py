"""Steps of other libraries' methods, as bench/record_peers.py recorded them, and how to follow them."""

import json

import numpy as np
from places import RECORDED

TOLERANCE = 1e-14  # of max(1, |p|)


def load_record():
    with np.load(RECORDED / "peers.npz", allow_pickle=False) as archive:
        return dict(archive)


def shapes_of(record):
    return json.loads(str(record["about"]))["shapes"]


def split(flat, shapes):
    stops = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [np.array(part).reshape(shape) for part, shape in zip(np.split(flat, stops[:-1]), shapes, strict=True)]


def join(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def slope(record, p, t):
    return record["curvature"] * (p - record["target"]) + record["noise"][t]


def worst_error(p, expected):
    return float(np.max(np.abs(p - expected) / np.maximum(1, np.abs(expected))))


def steps(record, opt):
    """Parameters of an optimizer, all of them flat, after each step."""
    params = list(opt.params.values())
    shapes = [p.shape for p in params]
    for t in range(len(record["noise"])):
        opt.step(split(slope(record, join(params), t), shapes))
        yield join(params)
