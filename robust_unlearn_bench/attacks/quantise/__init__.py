"""Quantisation attacks: round the weights to a coarser grid and back."""

from __future__ import annotations
