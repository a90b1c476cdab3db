"""Checkpoints and the modules inside a model: loading and saving, finding the decoder, identifying weights."""

from __future__ import annotations
