"""EfficientNet-Lite0 as an ONNX graph, built from the tensors of its checkpoint: what runs on a CPU.

ONNX Runtime takes less than half of torch's time for its depthwise convolutions. Every batch normalisation is folded
into the convolution before it, so the graph has convolutions, clips, sums and one average.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

EPSILON = 1e-3  # of batch normalisation, as the weights were trained
OPSET, IR_VERSION = 13, 8
INPUT, OUTPUT = "pixels_NCHW", "features_NC"
TENSORS_A_CONVOLUTION = 6  # its weight; scale, shift, mean, variance and count of the normalisation behind it
CLASSIFIER = 2  # tensors at the end


@dataclass(frozen=True)
class Convolution:
    """One convolution and what follows it (Tan and Le 2019, table 1, and the MBConv block of MobileNetV2)."""

    shape: tuple[int, int, int, int]  # out, in a group, height, width
    stride: int = 1
    clipped: bool = True  # by ReLU6
    adds_back: int = 0  # the output of so many convolutions before is added

    @property
    def groups(self) -> int:
        """A depthwise convolution sees one channel at a time."""
        return self.shape[0] if self.shape[1] == 1 else 1


STAGES = (  # repeats, kernel, stride of the first, expansion, channels out; Lite scales neither stem nor head
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


def convolutions() -> Iterator[Convolution]:
    """The network from its stem to its head."""
    yield Convolution((STEM, 3, 3, 3), stride=2)
    channels = STEM
    for repeats, kernel, first_stride, expansion, out in STAGES:
        for repeat in range(repeats):
            stride, wide = (1 if repeat else first_stride), channels * expansion
            if expansion > 1:
                yield Convolution((wide, channels, 1, 1))
            yield Convolution((wide, 1, kernel, kernel), stride=stride)
            yield Convolution((out, wide, 1, 1), clipped=False, adds_back=3 if repeat else 0)
            channels = out
    yield Convolution((HEAD, channels, 1, 1))


def graph_of(tensors: Sequence[NDArray[np.float32]]) -> bytes:
    """Return the serialised graph, float32 [N, 3, H, W] to [N, 1280]; raises ValueError for another network's tensors.

    `tensors` come in the checkpoint's order: six for each convolution, then the classifier's two, which are left out.
    """
    from onnx import TensorProto, helper, numpy_helper

    layers = list(convolutions())
    wanted = len(layers) * TENSORS_A_CONVOLUTION + CLASSIFIER
    if len(tensors) != wanted:
        raise ValueError(f"it holds {len(tensors)} tensors, wanted {wanted}")
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = [numpy_helper.from_array(np.array(edge, np.float32), f"clip{edge}") for edge in (0, 6)]
    outputs = [INPUT]
    for number, layer in enumerate(layers):
        first = number * TENSORS_A_CONVOLUTION
        kernel, bias = _folded(layer, tensors[first : first + 5])
        weights += [numpy_helper.from_array(kernel, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        nodes += _nodes(number, layer, outputs)
        outputs.append(nodes[-1].output[0])
    nodes.append(helper.make_node("GlobalAveragePool", [outputs[-1]], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], [OUTPUT]))
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, "height", "width"])
    features = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", HEAD])
    graph = helper.make_graph(nodes, "efficientnet_lite0", [pixels], [features], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _folded(layer: Convolution, tensors: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], ...]:
    """Multiply the normalisation into the kernel: scale / sqrt(variance + epsilon), and what is left is a bias."""
    kernel, scale, shift, mean, variance = (np.asarray(tensor, np.float64) for tensor in tensors)
    if kernel.shape != layer.shape or any(each.shape != layer.shape[:1] for each in (scale, shift, mean, variance)):
        raise ValueError(f"size mismatch: a kernel is {kernel.shape}, wanted {layer.shape}")
    gain = scale / np.sqrt(variance + EPSILON)
    return (kernel * gain[:, None, None, None]).astype(np.float32), (shift - mean * gain).astype(np.float32)


def _nodes(number: int, layer: Convolution, outputs: Sequence[str]) -> Iterator[NodeProto]:
    from onnx import helper

    yield helper.make_node(
        "Conv",
        [outputs[-1], f"w{number}", f"b{number}"],
        [f"conv{number}"],
        auto_pad="SAME_UPPER",  # TensorFlow's padding: what is odd goes to the right and below
        strides=[layer.stride] * 2,
        group=layer.groups,
    )
    if layer.clipped:
        yield helper.make_node("Clip", [f"conv{number}", "clip0", "clip6"], [f"clipped{number}"])
    if layer.adds_back:
        yield helper.make_node("Add", [f"conv{number}", outputs[-layer.adds_back]], [f"sum{number}"])
