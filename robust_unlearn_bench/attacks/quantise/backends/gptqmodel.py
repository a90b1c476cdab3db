"""GPTQ by gptqmodel, the successor of auto-gptq, which also writes packed checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from ....errors import MissingExtraError
from . import Parameters, Quantised

__all__ = ["pack", "quantise"]


def quantise(checkpoint: Path, windows: Sequence[Tensor], attack: Parameters) -> Quantised:
    """Pack the checkpoint into a temporary folder and dequantise that: the weights include the rounding of steps to fp16.

    Raises:
        MissingExtraError: gptqmodel is not installed.
    """
    gptqmodel = _gptqmodel()
    with TemporaryDirectory() as scratch:
        packed = Path(scratch) / "packed"
        pack(checkpoint, packed, windows, attack)
        with _inside(Path(scratch)):
            model = gptqmodel.GPTQModel.load(
                str(packed), device="cpu", backend=gptqmodel.BACKEND.TORCH, dtype=torch.float16
            )
            weights = {
                name: module.dequantize_weight().T.clone()
                for name, module in model.model.named_modules()
                if hasattr(module, "dequantize_weight")
            }
    return Quantised(weights, version("gptqmodel"), ("block",))


def pack(checkpoint: Path, out: Path, windows: Sequence[Tensor], attack: Parameters) -> None:
    """Quantise a float checkpoint and write it packed, for vLLM, gptqmodel or transformers to load.

    Args:
        checkpoint: folder with float safetensors, config and tokenizer.
        out: folder to write.
        windows: calibration token ids, each [length].
        attack: parameters of the quantisation, of which `block` is not honoured.

    Raises:
        MissingExtraError: gptqmodel is not installed.
    """
    gptqmodel = _gptqmodel()
    checkpoint, out = checkpoint.resolve(), out.resolve()
    config = gptqmodel.QuantizeConfig(
        bits=attack.bits,
        group_size=attack.group_size,
        sym=attack.symmetric,
        desc_act=attack.act_order,
        act_group_aware=False,
        static_groups=attack.static_groups,
        true_sequential=attack.true_sequential,
        damp_percent=attack.damp,
    )
    rows = [{"input_ids": window.tolist(), "attention_mask": [1] * len(window)} for window in windows]
    with TemporaryDirectory() as scratch, _inside(Path(scratch)):
        model = gptqmodel.GPTQModel.load(str(checkpoint), config, dtype="auto", **_device())
        model.quantize(rows, batch_size=1)
        model.save(str(out))


def _gptqmodel() -> Any:
    # Left alone, gptqmodel 7.6 starts half as many workers as there are cores, and stops where that is only one.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", str(max(2, min(12, (os.cpu_count() or 1) // 2))))
    try:
        import gptqmodel
    except ImportError as error:
        raise MissingExtraError("gptqmodel", "gptqmodel", "a packed GPTQ checkpoint or backend=gptqmodel") from error
    return gptqmodel


def _device() -> dict[str, str]:
    return {} if torch.cuda.is_available() else {"device": "cpu"}


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Make a folder the current one, because gptqmodel writes a `logs` folder into the current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
