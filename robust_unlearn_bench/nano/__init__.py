"""The small models of the nano suites: their training text, and the training of target and retrain model."""

from __future__ import annotations
