from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import ConfigError, MissingExtraError
from robust_unlearn_bench.sweep.carry_out import Ended
from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.engines.ray_cluster import run_on_ray
from robust_unlearn_bench.sweep.sweep_folder import run_sweep, status


def nothing(path: str, ended: Ended) -> None:
    raise AssertionError("no cell can have run")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--engine ray needs ray.*pip install 'robust-unlearn-bench\[sweep\]'"):
        run_on_ray([], cpus=1, gpus=0, address="auto", retry=False, report=nothing)


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_does_not_answer_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, remembered: bool
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra: sweep)")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if remembered:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9\n")
    started = time.monotonic()
    with pytest.raises(ConfigError, match=rf"no Ray cluster answers at '{address}': start one with `ray start --head`"):
        run_on_ray(["a"], cpus=1, gpus=0, address=address, retry=False, report=nothing)
    assert time.monotonic() - started < 30


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, root: Path) -> Any:
    """Two nodes on loopback, one core each."""
    pytest.importorskip("ray", reason="Ray is not installed (extra: sweep)")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, which starves them on a busy machine
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.mark.slow
def test_a_node_killed_in_the_middle_costs_its_running_cell_one_start(
    cluster: Any,
    grid: Callable[..., list[Cell]],
    tiny_llama: Callable[..., Any],
    tiny_tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_llama(window=256).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    monkeypatch.setenv("RUB_CACHE", str(tmp_path / "cache"))
    cells = grid(
        parameters={"steps": [2], "window": [64]},
        seeds=list(range(4)),
        targets={"nano_books": str(tmp_path / "model")},
        limit=2,
    )
    out = tmp_path / "out"
    killed = threading.Event()

    def kill() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            begun = [e for e in events(out).values() if e == ["started"]]
            if len(begun) == 2:  # one on each node
                cluster.remove_node(cluster.second, allow_graceful=False)
                killed.set()
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=kill)
    watcher.start()
    ends = run_sweep(cells, out, engine="ray", address=cluster.address)
    watcher.join()
    assert killed.is_set()
    assert ends == {"done": 4}
    assert [s.state for s in status(out)] == ["done"] * 4
    seen = sorted(events(out).values())
    assert seen == [["started", "ended"]] * 3 + [["started", "started", "ended"]], seen


@pytest.mark.slow
def test_cells_that_no_node_can_take_are_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"asks for 2 CPUs and 0 GPUs, and none of the 2 nodes has that"):
        run_on_ray(["a"], cpus=2, gpus=0, address=cluster.address, retry=False, report=nothing)


def events(out: Path) -> dict[str, list[str]]:
    """Events of every cell that has begun."""
    return {
        log.parent.name: [json.loads(line)["event"] for line in log.read_text().splitlines()]
        for log in (out / "cells").glob("*/events.jsonl")
    }
