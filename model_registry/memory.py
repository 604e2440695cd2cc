"""Tell a want of memory from every other failure, in the words of each runtime, and give back what it holds."""

from __future__ import annotations

import sys

OUT_OF_MEMORY = (
    "out of memory",  # CUDA, behind CTranslate2's "CUDA failed with error" and ONNX Runtime's "CUDA failure 2"
    "failed to allocate memory",  # the arena of ONNX Runtime, and the MKL of CTranslate2
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "not enough memory",  # torch on a CPU
    "can't allocate memory",  # torch on a CPU, after a failed malloc
    "std::bad_alloc",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may succeed.

    torch and Python have types for it. ONNX Runtime raises a plain Exception of its own, CTranslate2 a RuntimeError.
    """
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    of_a_runtime = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return of_a_runtime and any(words in str(error).lower() for words in OUT_OF_MEMORY)


def release() -> None:
    """Hand the memory that torch keeps for later back to the GPU, where the other runtimes can have it too."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
