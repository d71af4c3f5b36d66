"""What workers start with: loops compiled, and the matrix library's buffer filled."""

import os

import pytest

from replicate import training
from replicate.fast import convolution as functions
from replicate.fast import optimizers, product
from replicate.parallel import preload
from replicate.parallel.pool import Task, run_tasks

pytestmark = pytest.mark.usefixtures("importable")


def compiled(on_progress):
    loops = product.pool_cpu, optimizers._step_of_one
    on_progress([len(loop.signatures) for loop in loops])


def filled(on_progress):
    on_progress((os.getpid(), functions._buffer["filled by"]))


def reports(*tasks):
    """The first message of every task."""
    found = {}
    run_tasks(list(tasks), 1, lambda name, message: found.setdefault(name, message))
    return found


@pytest.mark.slow
def test_workers_start_warm():
    """Every loop of training and recording is compiled before a worker is forked."""
    assert min(reports(Task("c", compiled, (), ()))["c"]) >= 1


@pytest.mark.slow
def test_every_worker_fills_its_buffer():
    """The server's product does not count: a fork has a buffer of its own."""
    found = reports(*(Task(name, filled, (), ()) for name in "ab"))
    assert all(mine == by for mine, by in found.values())
    assert found["a"][0] != found["b"][0] != os.getpid()


def test_warm_up_calls_every_loop():
    """Each compiled function of the package has a float32 signature after warm_up."""
    preload.warm_up()
    loops = [
        value
        for module in (functions, product, optimizers, training)
        for value in vars(module).values()
        if hasattr(value, "signatures") and hasattr(value, "py_func")
    ]
    assert len(loops) >= 5
    # The formulas are compiled into the steps that call them.
    inner = {"_sgd", "_momentum", "_adagrad", "_adadelta", "_decay", "_adam", "step"}
    cold = {loop.__name__ for loop in loops if not loop.signatures}
    assert cold <= inner
