"""Import is cheap, and the light parts pull in nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "lm_eval", "datasets", "scipy", "peft")


@pytest.mark.parametrize(
    "module",
    [
        "robust_unlearn_bench",
        "robust_unlearn_bench.leaderboard",
        "robust_unlearn_bench.suites",
        "robust_unlearn_bench.suites.muse",
        "robust_unlearn_bench.suites.tofu",
        "robust_unlearn_bench.suites.nano_suites",
        "robust_unlearn_bench.attacks",
        "robust_unlearn_bench.cli",
        "robust_unlearn_bench.registry",
    ],
)
def test_nothing_heavy_is_imported(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
