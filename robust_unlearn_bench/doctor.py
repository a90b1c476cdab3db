"""`rub doctor`: check the installation and suggest a remedy for every problem."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlparse

from .paths import cache_dir, installed_tasks_dir, source_dir

__all__ = ["Check", "examine"]

Verdict = Literal["ok", "note", "problem"]


class Check(NamedTuple):
    """Result of one check."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(hub_timeout: float = 3.0) -> list[Check]:
    """Check versions, tasks, plug-ins, device, hub, data and cache.

    Args:
        hub_timeout: seconds to wait for the Hugging Face hub.
    """
    looks: list[Callable[[], Iterator[Check]]] = [
        _python,
        _packages,
        _tasks,
        _plugins,
        _device,
        lambda: _hub(hub_timeout),
        _data,
        _cache,
    ]
    return [check for look in looks for check in look()]


def _python() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".")[:3] if part.isdigit())


def _packages() -> Iterator[Check]:
    required = {
        "torch": ((2, 6), None),
        "transformers": ((4, 50), (6,)),
        "lm-eval": ((0, 4, 12), (0, 5, 1)),
        "datasets": ((3,), None),
        "bitsandbytes": ((0, 46), None),
    }
    for package, (low, high) in required.items():
        found = _installed(package)
        if found is None:
            yield Check(package, "problem", "not installed", f"pip install {package}")
            continue
        release = _release(found)
        fits = release >= low and (high is None or release < high)
        span = f">={'.'.join(map(str, low))}" + (f",<{'.'.join(map(str, high))}" if high else "")
        yield Check(package, "ok" if fits else "problem", found, "" if fits else f"pip install '{package}{span}'")
    if (torch := _installed("torch")) and _release(torch) < (2, 9):
        needed = "optimizer muon, and with it rub nano train and rub demo, need torch 2.9"
        yield Check("muon", "note", needed, "pip install 'torch>=2.9'")
    for package, extra in (("peft", "peft"), ("pytorch-optimizer", "pytorch-optimizer"), ("ray", "sweep")):
        found = _installed(package)
        yield Check(
            package,
            "ok" if found else "note",
            found or "not installed (optional)",
            "" if found else f"pip install 'robust-unlearn-bench[{extra}]' when needed",
        )


def _yaml(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.yaml"))}


def _tasks() -> Iterator[Check]:
    inside, source = installed_tasks_dir(), source_dir("tasks")
    if inside is None:
        yield Check(
            "tasks in lm-eval",
            "problem",
            "lm-eval does not find the tasks of this package",
            'reinstall the package, or run lm_eval with --include_path "$(rub paths tasks)"',
        )
        return
    present = _yaml(inside)
    yield Check("tasks in lm-eval", "ok" if present else "problem", f"{len(present)} YAML files in {inside}")
    if source is not None and _yaml(source) != present:
        yield Check(
            "tasks up to date",
            "problem",
            f"the copies inside lm-eval differ from {source}",
            "pip install --no-deps -e .   (an editable install copies the YAML once)",
        )


def _plugins() -> Iterator[Check]:
    """Check the members that other distributions register."""
    from .attacks import ATTACKS
    from .metrics.document import METRICS
    from .objectives import OBJECTIVES, RETAIN_LOSSES
    from .optimizers import OPTIMIZERS
    from .registry import BUILT_IN
    from .suites import SUITES

    for registry in (ATTACKS, METRICS, OBJECTIVES, OPTIMIZERS, RETAIN_LOSSES, SUITES):
        problems = registry.problems()
        for name in registry:
            if (origin := registry.origin(name)) != BUILT_IN and not any(f"{name!r} of" in said for said in problems):
                yield Check(f"{registry.kind} {name}", "ok", origin)
        for sentence in problems:
            yield Check("plug-in", "problem", sentence, "fix or uninstall that distribution; everything else works")


def _device() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
        yield Check("device", "ok", f"{name}, {memory / 2**30:.0f} GiB")
    else:
        yield Check("device", "ok", f"CPU, {torch.get_num_threads()} threads (fine for the nano suites)")


def _hub(timeout: float) -> Iterator[Check]:
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        yield Check("hub", "note", "HF_HUB_OFFLINE=1: only cached data", "set RUB_DATA=DIR to read a local mirror")
        return
    host = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or "huggingface.co"
    try:
        socket.create_connection((host, 443), timeout=timeout).close()
        yield Check("hub", "ok", f"{host} is reachable")
    except OSError:
        remedy = "the nano suites need no network; for MUSE, TOFU and WMDP set RUB_DATA=DIR to a local mirror"
        yield Check("hub", "note", f"{host} is not reachable", remedy)


def _data() -> Iterator[Check]:
    chosen = os.environ.get("RUB_DATA")
    if not chosen:
        return
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        yield Check(
            "RUB_DATA",
            "problem",
            f"{chosen} is not a folder",
            "point RUB_DATA at the folder that holds tofu/, books/, …",
        )
        return
    found = [name for name in ("books", "news", "tofu", "wmdp") if (folder / name).is_dir()]
    verdict: Verdict = "ok" if found else "problem"
    yield Check("RUB_DATA", verdict, f"{chosen}: {', '.join(found) or 'none of books/, news/, tofu/, wmdp/'}")


def _cache() -> Iterator[Check]:
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Check("cache", "problem", f"{folder} is not writable ({error.strerror})", "set RUB_CACHE=DIR")
        return
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    yield Check("cache", "ok", f"{folder}: {size / 2**20:.0f} MiB used, {free / 2**30:.0f} GiB free")
