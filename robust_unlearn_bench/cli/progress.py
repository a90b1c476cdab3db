"""Progress bar with the remaining time, shown only on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar", "first_process"]


def first_process() -> bool:
    """Return whether this is the only process, or the first of those started by a launcher (torchrun, accelerate)."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function (done, total, what) that updates the bar."""
    from tqdm import tqdm

    with tqdm(desc=title, disable=None if first_process() else True, leave=False) as shown:

        def report(done: int, total: int, what: str) -> None:
            shown.total = total
            shown.set_postfix_str(what, refresh=False)
            shown.update(done - shown.n)

        yield report
