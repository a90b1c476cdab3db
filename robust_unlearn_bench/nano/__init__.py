"""The small models of the nano suites: what they are trained on, and how target and retrain model are made."""

from __future__ import annotations
