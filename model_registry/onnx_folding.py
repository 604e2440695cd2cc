"""Fold what follows a convolution into it: sums and products with one constant a channel, as exporters leave them.

A graph exported from TensorFlow may keep each batch normalisation as three nodes on the other side of a transposition,
where no runtime recognises it. Folded, Open-NSFW takes half the time; results differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Weights = NDArray[np.float64]
TO_CHANNELS_LAST = (0, 2, 3, 1)


def fold(model: ModelProto) -> ModelProto:
    """Fold every convolution's chain, in place; what is no such chain stays as it is."""
    graph = model.graph
    constants = _constants(graph)
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {output.name for output in graph.output}
    for number, node in enumerate([node for node in graph.node if node.op_type == "Conv"]):
        if node.input[1] in constants:
            _fold_one(graph, node, number, constants, readers, outputs)
    _drop_unread(graph)
    return model


def _drop_unread(graph: GraphProto) -> None:
    """Let weights go that nothing reads any more; the runtime would warn of each."""
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        if not _is_read(graph, node.output[0]):
            graph.node.remove(node)
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _is_read(graph: GraphProto, name: str) -> bool:
    return any(name in node.input for node in graph.node) or any(name == output.name for output in graph.output)


def _fold_one(
    graph: GraphProto,
    conv: NodeProto,
    number: int,
    constants: Mapping[str, Weights],
    readers: Mapping[str, Sequence[NodeProto]],
    outputs: set[str],
) -> None:
    from onnx import numpy_helper

    kernel = constants[conv.input[1]]
    bias = constants[conv.input[2]] if len(conv.input) > 2 else np.zeros(len(kernel))
    folded = []
    for node, constant in _chain(conv, constants, readers, outputs, len(kernel)):
        if node.op_type == "Mul":
            kernel, bias = kernel * constant[:, None, None, None], bias * constant
        else:
            bias = bias + constant if node.op_type == "Add" else bias - constant
        folded.append(node)
    names = [f"folded/kernel{number}", f"folded/bias{number}"]
    for name, array in zip(names, (kernel, bias), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    conv.input[:] = [conv.input[0], *names]
    for node in folded:
        source = next(name for name in node.input if name not in constants)
        for reader in readers.get(node.output[0], ()):
            reader.input[:] = [source if name == node.output[0] else name for name in reader.input]
        graph.node.remove(node)


def _chain(
    conv: NodeProto,
    constants: Mapping[str, Weights],
    readers: Mapping[str, Sequence[NodeProto]],
    outputs: set[str],
    channels: int,
) -> Iterator[tuple[NodeProto, Weights]]:
    """Walk from a convolution on while one node reads the result; yield those that only scale or shift its channels."""
    name, last = conv.output[0], False
    while name not in outputs and len(readers.get(name, ())) == 1:
        node = readers[name][0]
        if node.op_type == "Transpose" and tuple(_attribute(node, "perm")) == TO_CHANNELS_LAST and not last:
            last = True
        elif (constant := _of_channels(node, name, constants, channels, last)) is not None:
            yield node, constant
        elif not (node.op_type == "Cast" and _attribute(node, "to") == 1):  # to float32, which it is
            return
        name = node.output[0]


def _of_channels(
    node: NodeProto, name: str, constants: Mapping[str, Weights], channels: int, last: bool
) -> Weights | None:
    """The constant of a node that adds, subtracts or multiplies one number a channel; None for any other node."""
    if node.op_type not in {"Add", "Sub", "Mul"} or (node.op_type == "Sub" and node.input[0] != name):
        return None
    constant = next((constants[other] for other in node.input if other in constants), None)
    wanted = (channels,) if last else (channels, 1, 1)
    if constant is None or constant.shape[-len(wanted) :] != wanted or constant.size != channels:
        return None
    return constant.reshape(channels)


def _constants(graph: GraphProto) -> dict[str, Weights]:
    """Arrays of numbers that the graph holds, by name, whatever they are called again."""
    from onnx import numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return {name: array.astype(np.float64) for name, array in found.items() if array.dtype == np.float32}


def _attribute(node: NodeProto, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), ())
