"""How long work takes on a GPU, and how long the host is busy with asking for it; contenders take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from fastadagrad.device.backend import Backend


class Contender(NamedTuple):
    """`call` asks for work that moves so many `bytes`, if it is known how many."""

    name: str
    call: Callable[[], object]
    bytes: int = 0


class Time(NamedTuple):
    """Median seconds a call."""

    name: str
    gpu: float
    host: float
    bytes: int


class Clock:
    """Events of CUDA's driver on the default stream, with which all that is timed here is ordered."""

    def __init__(self, backend: Backend) -> None:
        from cuda.bindings import driver

        self._driver, self._backend = driver, backend
        with backend.on([]):
            self._begin, self._end = (self._result(driver.cuEventCreate(0)) for _ in range(2))

    def _result(self, answer: tuple[Any, ...]) -> Any:
        status, *values = answer
        if status != self._driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"CUDA's driver: {status}")
        return values[0] if values else None

    def _record(self, event: Any) -> None:
        from fastadagrad.device.arrays import LEGACY_STREAM

        with self._backend.on([]):
            self._result(self._driver.cuEventRecord(event, LEGACY_STREAM))

    def seconds(self, call: Callable[[], object], calls: int) -> tuple[float, float]:
        """Seconds a call: from the first to the last on the GPU, and of the host."""
        self._backend.synchronize()
        self._record(self._begin)
        start = perf_counter()
        for _ in range(calls):
            call()
        host = perf_counter() - start
        self._record(self._end)
        self._backend.synchronize()
        milliseconds = self._result(self._driver.cuEventElapsedTime(self._begin, self._end))
        return milliseconds * 1e-3 / calls, host / calls

    def race(self, contenders: Sequence[Contender], calls: int, rounds: int) -> list[Time]:
        """Time all of them in turns, after a turn each that does not count."""
        found: dict[str, list[tuple[float, float]]] = {each.name: [] for each in contenders}
        for turn in range(rounds + 1):
            for each in contenders:
                seconds = self.seconds(each.call, calls)
                if turn:
                    found[each.name].append(seconds)
        return [
            Time(each.name, *(median(part) for part in zip(*found[each.name], strict=True)), each.bytes)
            for each in contenders
        ]
