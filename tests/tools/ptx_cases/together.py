"""What threads of a warp compute together, by the manual's definitions of each lane's result."""

import functools
import operator
import random
from functools import partial

from .exact import number_of, operands, whole
from .running import require

WARP, ALL = 32, 2**32 - 1
SEEDS = 3


def cases():
    for how in PARTNERS:
        yield f"shfl.sync.{how}.b32", partial(require_shuffled, how)
    for how, holds in {"all": all, "any": any, "uni": lambda values: len({*values}) == 1}.items():
        yield f"vote.sync.{how}.pred", folded(f"vote.sync.{how}.pred", "pred", "pred", holds)
    yield "vote.sync.ballot.b32", lanewise("vote.sync.ballot.b32 %d, %a, %m;", {"d": "b32"}, "pred", ballot)
    for kind in ("b32", "b64"):
        yield f"match.any.sync.{kind}", lanewise(f"match.any.sync.{kind} %d, %a, %m;", {"d": "b32"}, kind, equals)
        name = f"match.all.sync.{kind}"
        yield name, lanewise(f"{name} %d, %a, %m;", {"d": "b32"}, kind, lambda *group: all_equal(*group)[:1])
        yield name, lanewise(f"{name} %d|%p, %a, %m;", {"d": "b32", "p": "pred"}, kind, all_equal)
    for how, function in {"add": operator.add, "min": min, "max": max}.items():
        for kind in ("s32", "u32"):
            name = f"redux.sync.{how}.{kind}"
            yield name, folded(name, kind, kind, partial(functools.reduce, function))
    for how, function in {"and": operator.and_, "or": operator.or_, "xor": operator.xor}.items():
        yield (
            f"redux.sync.{how}.b32",
            folded(f"redux.sync.{how}.b32", "b32", "b32", partial(functools.reduce, function)),
        )


def drawn_groups():
    """Lanes of warps that take part together: all, halves, every other one, parts that are drawn, and each alone."""
    draw = random.Random(WARP)
    parts = [[0] * WARP] * 6 + [[lane // 16 for lane in range(WARP)], [lane % 2 for lane in range(WARP)]]
    parts += [[draw.randrange(count) for _ in range(WARP)] for count in (2, 2, 3, 3, 5, 8)] + [[*range(WARP)]]
    return [[lane for lane in range(WARP) if part[lane] == number] for part in parts for number in sorted({*part})]


def warps_of(kind):
    """The numbers of lanes by groups, a warp's one after the other: in some all are the same, or few differ."""
    draw, values = random.Random(kind), operands(kind)
    groups = []
    for lanes in drawn_groups():
        some = draw.sample(values, min(len(values), draw.choice([1, 1, 2, 9])))
        groups.append({lane: draw.choice(some) for lane in lanes})
    return groups


def lanewise(instruction, targets, kind, result):
    """A check of an instruction, `result` giving the bits of a lane from its number and those of its group's lanes."""
    return partial(require_lanes, instruction, targets, kind, result)


def require_lanes(instruction, targets, kind, result):
    rows, expected = [], []
    warp = {}
    for group in warps_of(kind):
        mask = sum(1 << lane for lane in group)
        numbers = {lane: number_of(bits, kind) for lane, bits in group.items()}
        warp |= {lane: ((bits, mask), result(lane, numbers)) for lane, bits in group.items()}
        if len(warp) == WARP:
            rows += [warp[lane][0] for lane in range(WARP)]
            expected += [warp[lane][1] for lane in range(WARP)]
            warp = {}
    for seed in range(SEEDS):
        require(instruction, targets, {"a": kind, "m": "b32"}, rows, expected, seed)


def folded(name, to, kind, function):
    """A check of an instruction whose result is the same for all lanes of a group."""

    def result(_, numbers):
        return (whole(function([*numbers.values()]), to),)

    return lanewise(f"{name} %d, %a, %m;", {"d": to}, kind, result)


def ballot(_, numbers):
    return (sum(1 << lane for lane, number in numbers.items() if number),)


def equals(lane, numbers):
    return (sum(1 << other for other, number in numbers.items() if number == numbers[lane]),)


def all_equal(_, numbers):
    agreed = len({*numbers.values()}) == 1
    return (sum(1 << lane for lane in numbers) if agreed else 0, agreed)


# Shuffles

PARTNERS = {
    "up": lambda lane, by, segment: lane - by,
    "down": lambda lane, by, segment: lane + by,
    "bfly": lambda lane, by, segment: lane ^ by,
    "idx": lambda lane, by, segment: lane & segment | by & ~segment,
}


def partner_of(how, lane, by, bounds):
    """The lane whose number this one gets, and whether that is another's or, beyond the bounds, its own."""
    by, segment, clamp = by % WARP, bounds >> 8 & 31, bounds & 31
    bound = lane & segment | clamp & ~segment
    partner = PARTNERS[how](lane, by, segment)
    inside = partner >= bound if how == "up" else partner <= bound
    return (partner, True) if inside else (lane, False)


def shuffled_rows(how):
    """Warps whose lanes are given the same way, then each another way, and then in segments with masks of their own."""
    draw = random.Random(how)
    numbers = (draw.getrandbits(32) for _ in range(10**6))
    for lanes in (1, 2, 8, 32):
        bounds = WARP - lanes << 8 | (0 if how == "up" else 31)
        for by in (0, 1, 3, 7, 16, 31, 33):
            yield from ((next(numbers), by, bounds, ALL) for _ in range(WARP))
    for _ in range(6 * WARP):
        yield next(numbers), draw.getrandbits(32), draw.getrandbits(13), ALL
    for lanes in (2, 4, 16):
        bounds = WARP - lanes << 8 | (0 if how == "up" else 31)
        for lane in range(WARP):
            yield next(numbers), draw.randrange(lanes), bounds, (1 << lanes) - 1 << lane // lanes * lanes


def require_shuffled(how):
    rows, expected = [*shuffled_rows(how)], []
    for thread, (_, by, bounds, _) in enumerate(rows):
        lane = thread % WARP
        partner, inside = partner_of(how, lane, by, bounds)
        expected.append((rows[thread - lane + partner][0], inside))
    sources = {"a": "b32", "b": "u32", "c": "u32", "m": "b32"}
    name = f"shfl.sync.{how}.b32"
    for seed in range(SEEDS):
        require(f"{name} %d|%p, %a, %b, %c, %m;", {"d": "b32", "p": "pred"}, sources, rows, expected, seed)
        require(f"{name} %d, %a, %b, %c, %m;", {"d": "b32"}, sources, rows, [each[:1] for each in expected], seed)
