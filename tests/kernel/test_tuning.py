"""What a process of Mirage takes for itself."""

import resource
import subprocess
import sys

import pytest

from services.kernel.tuning import DESCRIPTORS
from tests.proof.processes import ROOT

STARTED = """
import gc, resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
sys.argv = ["mirage", "--version"]
try:
    runpy.run_module("services", run_name="__main__")
except SystemExit:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], *gc.get_threshold())
"""


@pytest.fixture(scope="module")
def taken() -> list[int]:
    """What a process that began with 512 descriptors has of them, and the thresholds of its garbage collector."""
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.splitlines()[-1].split()]


def test_a_process_takes_the_descriptors_that_it_may_have(taken: list[int]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert taken[0] == (DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS))


def test_a_process_looks_for_garbage_seldom(taken: list[int]) -> None:
    assert taken[1] > 100_000
