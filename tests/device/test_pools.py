"""Memory of a GPU that is got and given back in the order of its streams."""

import gc

import numpy as np
import pytest
from stand_in import installed

import fastadagrad as fa
from fastadagrad.device.driver import driver_at


@pytest.fixture
def driver(monkeypatch):
    with installed(monkeypatch) as stand_in:
        yield stand_in


def array(driver):
    return driver.gpus[0].array(np.ones(70, np.float32))


def kinds(driver):
    return [call[0] for call in driver.calls]


def test_memory_is_of_a_pool_in_the_order_of_the_streams(driver):
    given = array(driver)
    here = driver_at(given.address)
    driver.calls.clear()
    memory = here.allocate(8)
    with here.on([5]):
        other = here.allocate(8)
        here.clear(memory.address, 8)
        del memory  # while the stream may be using it
    del other
    assert [call for call in driver.calls if call[0] in ("allocate", "clear", "free")] == [
        ("allocate", 1),
        ("allocate", 5),
        ("clear", 5),
        ("free", 5),
        ("free", 1),
    ]
    assert driver.pools == [{"device": 0, "CU_MEMPOOL_ATTR_RELEASE_THRESHOLD": 64 << 20}]
    driver.calls.clear()
    with here.on([7]):  # which comes after what was given back
        pass
    assert driver.calls[:2] == [("record", 2, 1), ("wait", 7, 2)]


def test_a_driver_without_pools(driver):
    driver.pools = None
    opt = fa.ADAGRAD(params=array(driver))
    opt.step(array(driver))
    assert opt.steps == 1
    assert not {"allocate", "free"} & {*kinds(driver)}
    del opt
    gc.collect()
    assert not driver.allocations


def test_nothing_is_given_back_into_a_graph(driver):
    given = array(driver)
    here = driver_at(given.address)
    memory, host = here.allocate(8), here.page_locked(8)
    driver.captured.add(5)
    driver.calls.clear()
    with here.on([5]):
        del memory, host
        with pytest.raises(RuntimeError, match="a CUDA graph cannot capture"):
            here.allocate(8)
    assert not driver.calls
    driver.captured.clear()
    here.allocate(8)
    assert kinds(driver)[:2] == ["free", "synchronize"]
    assert not driver.page_locked


def test_memory_of_the_host_that_kernels_write_to_is_freed_after_them(driver):
    opt = fa.ADAGRAD(params=array(driver), deferred=True)
    opt.step(array(driver))
    assert driver.page_locked
    driver.calls.clear()
    del opt
    gc.collect()
    assert not driver.page_locked
    assert "synchronize" in kinds(driver)


def test_the_kernels_that_decide_are_loaded_before_they_are_launched(driver):
    opt = fa.ADAGRAD(params=array(driver), deferred=True)
    opt.step(array(driver))
    assert driver.loaded
    assert all("deciding" in name for name in driver.loaded)
