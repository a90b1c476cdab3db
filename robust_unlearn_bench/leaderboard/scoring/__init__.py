"""From records to scores: measurement, uncertainty, leakage, boards."""

from __future__ import annotations
