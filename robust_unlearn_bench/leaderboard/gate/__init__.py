"""The regression gate: has a candidate's robustness regressed against a baseline?

from robust_unlearn_bench.leaderboard import gate
result = gate.check("baseline/", "candidate/", "gate.toml")
assert result.ok, result.summary()
"""

from __future__ import annotations

from .config import Calibration, Gate, Gated, read_gate
from .result import Check, Result, Verdict
from .verdict import calibrate, check

__all__ = ["Calibration", "Check", "Gate", "Gated", "Result", "Verdict", "calibrate", "check", "read_gate"]
