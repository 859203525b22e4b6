"""A launch: threads, their registers, and the order in which they run.

Registers are arrays with an element for each thread. A step of a kernel is made for all threads that are at it, which
is one legal order of many: from its seed a grid draws at each turn which of them go on, how far, and in which order
those go that have taken different branches.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from .code import BRANCH, RETURN, TOGETHER, Code, Step
from .fault import Fault
from .junk import Junk
from .memory import Memory
from .operands import Threads
from .program import TYPES
from .warps import ALL, WARP

# Places of threads whose block has not begun; that have returned; that wait at a barrier, so much behind it; that wait
# for the rest of their warp.
ABSENT, DONE, WAITING, HELD = 2**62 + 1, 2**62, 2**61, 2**60
# How often threads at a later place are let go on before others; how often some are parted from others at their place;
# and for how many steps at most, as a power of 2, until the order is drawn anew.
OVERTAKE, PART, TURN = 0.2, 0.4, 7
LOOK = 16  # turns between looks at whether all threads of a block wait at a barrier while other blocks go on
PATIENCE = 5_000  # looks at memory, each of all threads at it, in which none of them has found another to be busy
WAVES = 0.25  # how often a grid has more blocks than there is room for at once: some begin when others have ended
EVERYONE = slice(None)


class _Special(dict[str, np.ndarray]):
    """The registers that say where a thread is, made when they are read."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._grid = grid

    def __missing__(self, name: str) -> np.ndarray:
        grid = self._grid
        if name.startswith("lanemask"):
            one = np.uint64(1) << grid.lane.astype(np.uint64)
            low, every = one - np.uint64(1), np.uint64(ALL)
            how = name.removeprefix("lanemask_")
            value = {"eq": one, "lt": low, "le": low | one, "ge": every & ~low, "gt": every & ~low & ~one}[how]
        elif name == "laneid":
            value = grid.lane
        else:
            what, axis = name.split(".")
            i, sizes = "xyz".index(axis), grid.blocks if "cta" in what else grid.threads
            index = grid.block if "cta" in what else grid.thread - grid.block * int(np.prod(grid.threads))
            value = np.full(grid.n, sizes[i]) if what[0] == "n" else index // int(np.prod(sizes[:i])) % sizes[i]
        self[name] = value.astype(np.uint32)
        return self[name]


class _Registers(dict[str, np.ndarray]):
    """Made when they are first used, with junk."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._grid = grid

    def __missing__(self, name: str) -> np.ndarray:
        kind = self._grid.code.program.register(name)
        found = self._grid.junk.bytes(self._grid.n * kind.itemsize)
        self[name] = found & 1 != 0 if kind.kind == "b" else found.view(kind)
        return self[name]


class Grid:
    """One launch.

    Parameters
    ----------
    blocks, threads : tuples of three ints
        Blocks of the grid, and threads of a block, along x, y and z.
    memory : arrays
        What the kernel may read and, if writable, write.
    seed : int
        Of junk and of the order.
    races : bool
        Look for races.
    shared : int
        Bytes of shared memory beside the kernel's own.
    """

    def __init__(
        self,
        code: Code,
        blocks: tuple[int, int, int],
        threads: tuple[int, int, int],
        memory: Sequence[np.ndarray],
        seed: int,
        races: bool = True,
        shared: int = 0,
    ) -> None:
        self.code, self.blocks, self.threads, self.seed = code, blocks, threads, seed
        block = int(np.prod(threads))
        self.n = int(np.prod(blocks)) * block
        self.place = np.zeros(self.n, np.int64)
        self.thread = np.arange(self.n)
        self.block = self.thread // max(block, 1)
        inside = self.thread - self.block * block
        self.warp, self.lane = self.block * -(-block // WARP) + inside // WARP, inside % WARP
        self._whole = block % WARP == 0
        self.special, self.registers = _Special(self), _Registers(self)
        self.parameters: dict[str, Any] = {}
        self.junk, self._random = Junk(seed), random.Random(seed)
        program = code.program
        sizes = program.shared_size + shared, program.local_size
        self.memory = Memory(memory, self.block, *sizes, self.junk, races)
        self.executed = 0  # steps, of however many threads
        self._turns = 0
        self._rounds: dict[int, np.ndarray] = {}  # how often threads have come to branches at which no warp parts
        self._absent_blocks = self._draw_waves(int(np.prod(blocks)))
        self.waves = 1 + len(self._absent_blocks)

    def _draw_waves(self, blocks: int) -> list[np.ndarray]:
        """Blocks that begin when all before have ended, in the reverse order."""
        draw = random.Random(self.seed + 1)
        if blocks < 2 or draw.random() >= WAVES:
            return []
        order = np.array(draw.sample(range(blocks), blocks))
        room = draw.randrange(1, blocks)
        first, *others = np.split(order, range(room, blocks, room))
        self.place[~np.isin(self.block, first)] = ABSENT
        return others[::-1]

    def draw_order(self, count: int) -> np.ndarray:
        """An order in which so many threads reach memory."""
        return np.array(self._random.sample(range(count), count), np.int64)

    def run(self, arguments: Sequence[Any]) -> None:
        """Run to the end, with these values for the parameters."""
        for (kind, name), value in zip(self.code.program.parameters, arguments, strict=True):
            self.parameters[name] = np.array(value).astype(TYPES[kind])
        with np.errstate(all="ignore"):
            try:
                while self.n and self._take_turn():
                    pass
            except Fault as fault:
                raise Fault(f"{fault} (seed {self.seed})") from None

    def _take_turn(self) -> bool:
        """Let some threads go on; whether there are any left."""
        now = int(self.place.min())
        if now >= HELD:
            return self._release(now)
        self._turns += 1
        if self._turns % LOOK == 0:
            self._pass_barriers()
            self._require_progress(now)
        draw = self._random.random
        if draw() < OVERTAKE:
            runnable = self.place[self.place < HELD]
            now = int(runnable[int(draw() * runnable.size)])
        here = self.place == now
        if here.all():
            active: Threads = EVERYONE
            until = len(self.code.steps)
        else:
            active = np.flatnonzero(here)
            until = min(int(self.place[self.place > now].min(initial=DONE)), len(self.code.steps))
        if draw() < PART:
            active = self._part(active)
        self._go_on(active, now, min(until, now + int(2 ** (draw() * TURN))))
        return True

    def _require_progress(self, now: int) -> None:
        """Raise a fault if all threads that can go on have looked at memory over and over, and none has changed it."""
        if self.memory.looks < PATIENCE:
            return
        if self.memory.have_looked[self.place < HELD].all():
            text = self.code.steps[now].text
            raise Fault(f"threads look again and again, and none writes: they wait for what does not come, at: {text}")
        self.memory.forget_looks()  # others are on their way to a write

    def _part(self, active: Threads) -> Threads:
        """Some of these threads: of warps, or of lanes."""
        threads = self.thread[active]
        unit = self.warp[threads] if self._random.random() < 0.5 else threads
        chosen = np.random.default_rng(self._random.getrandbits(32)).random(int(unit[-1]) + 1) < 0.5
        some = threads[chosen[unit]]
        return some if some.size else active

    def _go_on(self, active: Threads, now: int, until: int) -> None:
        """Run these threads, which are at one place, until one leaves the others."""
        steps, first = self.code.steps, now
        try:
            while now < until:
                step = steps[now]
                now += 1
                if step.kind:
                    self.executed += now - first
                    self._leave(step, active, now)
                    return
                if step.guard is None:
                    step.act(self, active)  # type: ignore[misc]  # plain steps have one
                else:
                    some, _ = self._divide(step, active)
                    if some.size:
                        step.act(self, some)  # type: ignore[misc]
        except Fault as fault:
            raise Fault(f"{fault}, in: {step.text}") from None
        self.executed += now - first
        self.place[active] = now if now < len(steps) else DONE

    def _divide(self, step: Step, active: Threads) -> tuple[np.ndarray, np.ndarray]:
        """The threads that a guard lets through, and the others."""
        threads = self.thread[active]
        if step.guard is None:
            return threads, threads[:0]
        holds = self.registers[step.guard][active] != step.negated
        return threads[holds], threads[~holds]

    def _leave(self, step: Step, active: Threads, behind: int) -> None:
        """Make the step after which threads may be at different places."""
        if step.kind == TOGETHER:
            self._meet(step, active, behind)
            return
        if step.guard is None:
            some, stay = active, None
        else:
            some, stay = self._divide(step, active)
        if step.kind == BRANCH:
            if step.uniform and stay is not None:
                self._require_whole_warps(some, stay, behind)
            goal = step.goal
        else:
            goal = DONE if step.kind == RETURN else WAITING + behind
        last = len(self.code.steps)
        self.place[some] = goal if goal != last else DONE
        if stay is not None:
            self.place[stay] = behind if behind < last else DONE

    def _require_whole_warps(self, some: Threads, stay: np.ndarray, behind: int) -> None:
        """Refuse that a warp parts, but where some of its lanes are in another round of a loop than others."""
        rounds = self._rounds.setdefault(behind, np.zeros(self.n, np.int64))
        if np.intersect1d(*(self.warp[each] << WARP | rounds[each] for each in (some, stay))).size:
            raise Fault("a warp parts at a branch that says that none does")
        for each in (some, stay):
            rounds[each] += 1

    def _meet(self, step: Step, active: Threads, behind: int) -> None:
        """Make a step of warps for those threads that all have come, and hold the others."""
        after = behind if behind < len(self.code.steps) else DONE
        masks = step.mask(self, active)  # type: ignore[misc]  # such steps have one
        if active is EVERYONE and step.guard is None and self._whole and np.ndim(masks) == 0 and masks == ALL:
            step.act(self, active)  # type: ignore[misc]
            self.place[active] = after
            return
        some, stay = self._divide(step, active)
        self.place[stay] = after
        at = HELD + behind
        here = np.sort(np.concatenate([some, np.flatnonzero(self.place == at)]))
        if not here.size:
            return
        masks = np.broadcast_to(step.mask(self, here), here.shape)  # type: ignore[misc]
        whole = self._all_came(here, masks)
        self.place[here[~whole]] = at
        if whole.any():
            self.place[here[whole]] = after
            step.act(self, here[whole])  # type: ignore[misc]

    def _all_came(self, here: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Whether all the threads are here that the mask of each names."""
        bits = np.uint32(1) << self.lane[here].astype(np.uint32)
        outside = masks & bits == 0
        if outside.any():
            lane, mask = self.lane[here][outside][0], int(masks[outside][0])
            raise Fault(f"lane {lane} is not in its own mask {mask:#x}")
        keys = self.warp[here] if (masks == masks[0]).all() else self.warp[here] << WARP | masks
        starts = np.flatnonzero(np.diff(keys, prepend=-1)) if (np.diff(keys) >= 0).all() else None
        if starts is not None:
            came = np.repeat(np.bitwise_or.reduceat(bits, starts), np.diff(starts, append=len(keys)))
        else:
            _, group = np.unique(keys, return_inverse=True)
            sums = np.zeros(group.max() + 1, np.uint32)
            np.bitwise_or.at(sums, group, bits)
            came = sums[group]
        return np.asarray(came == masks)

    def _release(self, now: int) -> bool:
        """Let threads go on where none can: whether there are any."""
        if now >= DONE:
            if self._absent_blocks:
                self.place[np.isin(self.block, self._absent_blocks.pop())] = 0
                return True
            return False
        if now < WAITING:
            raise Fault(self._absent(now - HELD))
        self._pass_barriers()
        return True

    def _pass_barriers(self) -> None:
        """Let blocks go on that wait at a barrier: all threads of one must have come, except those that returned."""
        others = np.unique(self.block[self.place < WAITING])
        waits = (self.place >= WAITING) & (self.place < DONE)
        waiting = np.flatnonzero(waits & ~np.isin(self.block, others) if others.size else waits)
        if not waiting.size:
            return
        blocks, places = self.block[waiting], self.place[waiting]
        parted = np.flatnonzero((np.diff(blocks) == 0) & (np.diff(places) != 0))
        if parted.size:
            first = int(parted[0])
            texts = [self.code.steps[int(place) - WAITING - 1].text for place in places[first : first + 2]]
            raise Fault(f"threads of block {blocks[first]} wait at different barriers: {texts[0]} and {texts[1]}")
        ready = np.unique(blocks)
        some = ready[[self._random.random() < 0.5 for _ in ready]]
        going = np.isin(blocks, some if some.size else ready)
        waiting, places = waiting[going], places[going]
        self.memory.pass_barrier(waiting)
        self.place[waiting] = np.where(places - WAITING < len(self.code.steps), places - WAITING, DONE)

    def _absent(self, behind: int) -> str:
        """Which threads are missing at a step of warps."""
        step = self.code.steps[behind - 1]
        held = np.flatnonzero(self.place == HELD + behind)
        warp, masks = self.warp[held[0]], np.broadcast_to(step.mask(self, held), held.shape)  # type: ignore[misc]
        mask = int(masks[0])
        came = self.lane[held[(self.warp[held] == warp) & (masks == masks[0])]]
        lanes = [str(lane) for lane in range(WARP) if mask >> lane & 1 and lane not in came]
        return (
            f"not all threads of warp {warp} take part: the mask {mask:#x} names lanes {', '.join(lanes)}, "
            f"which have not come, in: {step.text}"
        )
