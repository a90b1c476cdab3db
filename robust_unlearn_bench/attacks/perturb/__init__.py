"""Perturbation attacks: noise on the weights, and pruning."""

from __future__ import annotations
