"""The fictional world behind the nano suites: its generator, its frozen tables and its tokenizer."""

from __future__ import annotations
