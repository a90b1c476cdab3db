"""Seeds of private generators: no draw in this package uses the global generator."""

from __future__ import annotations

import hashlib

__all__ = ["seed_of"]


def seed_of(*parts: int | str) -> int:
    """Derive a 63-bit seed from the parts that identify a draw; it is the same on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
