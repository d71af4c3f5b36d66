"""What workers start with: loops compiled, and the matrix library's buffer filled."""

import os

import pytest

from replicate import training
from replicate.fast import convolution as functions
from replicate.parallel import preload
from replicate.parallel.pool import Task, run_tasks

pytestmark = pytest.mark.usefixtures("importable")


def compiled(tell):
    return len(functions._pool_cpu.signatures), len(training._adam.signatures)


def filled(tell):
    return os.getpid(), functions._buffer["filled by"]


def test_workers_start_warm():
    """Every loop of training and recording is compiled before a worker is forked."""
    results = {}
    run_tasks([Task("c", compiled, (), ())], 1, lambda n, m: results.update({n: m}))
    assert min(results["c"][1]) >= 1


def test_every_worker_fills_its_buffer():
    """The server's product does not count: a fork has a buffer of its own."""
    results = {}
    tasks = [Task(name, filled, (), ()) for name in "ab"]
    run_tasks(tasks, 1, lambda n, m: results.update({n: m[1]}))
    assert all(mine == by for mine, by in results.values())
    assert results["a"][0] != results["b"][0] != os.getpid()


def test_warm_up_calls_every_loop():
    """Each compiled function of the package has a float32 signature after warm_up."""
    preload.warm_up()
    loops = [
        value
        for module in (functions, training)
        for value in vars(module).values()
        if hasattr(value, "signatures") and hasattr(value, "py_func")
    ]
    assert len(loops) >= 5
    cold = [loop.__name__ for loop in loops if not loop.signatures]
    assert cold == []
