"""Open an ONNX graph as every model here runs it: on CUDA where the runtime has it, and sharing the cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model_registry.onnx_folding import fold
from model_registry.reading import reading


def open_graph(
    path: Path, device: str = "cpu", *, threads: int | None = None, arena: bool = True, folded: bool = False
) -> Any:
    """Return an onnxruntime session; raises NightjarError where the file is no graph.

    It takes torch's thread count unless told otherwise. Without an arena memory goes back after each run: graphs whose
    inputs have another width each time would keep a piece for every width. `folded`: see `onnx_folding`.
    """
    from google.protobuf.message import DecodeError
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    damaged = (raised.Fail, raised.InvalidGraph, raised.InvalidProtobuf, raised.NoSuchFile, DecodeError)
    with reading(path, "an ONNX graph", also=damaged):
        return session(_folded(path) if folded else str(path), device, threads=threads, arena=arena)


def _folded(path: Path) -> bytes:
    import onnx

    return bytes(fold(onnx.load(str(path))).SerializeToString())


def session(graph: str | bytes, device: str = "cpu", *, threads: int | None = None, arena: bool = True) -> Any:
    """The same for a path, or for a graph in memory; raises what onnxruntime raises."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared with decode
    options.enable_cpu_mem_arena = arena
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    available = onnxruntime.get_available_providers()
    providers = [name for name in wanted if name in available] + ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph, options, providers=providers)
