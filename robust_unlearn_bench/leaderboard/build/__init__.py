"""From lm-eval results to a record."""

from __future__ import annotations
