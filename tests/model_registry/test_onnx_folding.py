"""Chains behind convolutions go into them, and nothing else does: every graph gives what it gave before."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from model_registry.models.open_nsfw import ARTIFACT
from model_registry.onnx import session
from model_registry.onnx_folding import fold

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
CHANNELS = 4
RNG = np.random.default_rng(3)


def constant(*shape: int) -> np.ndarray:
    return RNG.normal(1.0, 0.5, shape).astype(np.float32)


def graph_of(*nodes, outputs=("out",), **arrays) -> onnx.ModelProto:
    """A convolution of 3 to 4 channels from `in` to `conv`, then the nodes."""
    kernel = constant(CHANNELS, 3, 3, 3)
    conv = helper.make_node("Conv", ["in", "kernel"], ["conv"], pads=[1, 1, 1, 1])
    weights = [numpy_helper.from_array(array, name) for name, array in {"kernel": kernel, **arrays}.items()]
    shown = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    pixels = helper.make_tensor_value_info("in", onnx.TensorProto.FLOAT, ["n", 3, 6, 5])
    graph = helper.make_graph([conv, *nodes], "test", [pixels], shown, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(kind: str, *names: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    pixels = np.random.default_rng(5).normal(size=(2, 3, 6, 5)).astype(np.float32)
    return session(model.SerializeToString()).run(None, {"in": pixels})


def assert_folds_to(model: onnx.ModelProto, **wanted: int) -> None:
    before = run(model)
    after = fold(model)
    found = kinds(after)
    read = {name for node in after.graph.node for name in node.input}
    assert {tensor.name for tensor in after.graph.initializer} <= read
    assert {kind: found[kind] for kind in wanted} == wanted
    for one, other in zip(run(after), before, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_normalisation_behind_a_transposition():
    """As TensorFlow exports it: shifted, less the mean, scaled, shifted, the channels last."""
    last = {name: constant(1, 1, 1, CHANNELS) for name in ("bias", "mean", "scale", "shift")}
    model = graph_of(
        node("Transpose", "conv", "turned", perm=[0, 2, 3, 1]),
        node("Cast", "turned", "cast", to=1),
        node("Add", "cast", "bias", "biased"),
        node("Sub", "biased", "mean", "centred"),
        node("Mul", "scale", "centred", "scaled"),
        node("Add", "scaled", "shift", "shifted"),
        node("Relu", "shifted", "out"),
        **last,
    )
    assert_folds_to(model, Conv=1, Add=0, Sub=0, Mul=0, Relu=1, Transpose=1)


def test_channels_first():
    model = graph_of(node("Mul", "conv", "scale", "out"), scale=constant(1, CHANNELS, 1, 1))
    model.graph.node.append(node("Identity", "out", "again"))
    model.graph.output[0].name = "again"
    assert_folds_to(model, Mul=0)


@pytest.mark.parametrize(
    ("nodes", "arrays", "kept"),
    [
        ([node("Sub", "mean", "conv", "out")], {"mean": (1, CHANNELS, 1, 1)}, {"Sub": 1}),
        ([node("Add", "conv", "map", "out")], {"map": (1, 1, 6, 5)}, {"Add": 1}),
        ([node("Add", "conv", "map", "out")], {"map": (1, CHANNELS, 6, 5)}, {"Add": 1}),
        ([node("Add", "conv", "one", "out")], {"one": (1,)}, {"Add": 1}),
        ([node("Relu", "conv", "r"), node("Mul", "r", "scale", "out")], {"scale": (1, CHANNELS, 1, 1)}, {"Mul": 1}),
        ([node("Mul", "conv", "scale", "out")], {"scale": (1, CHANNELS, 1, 1)}, {"Mul": 1}),  # it is an output
    ],
    ids=["constant less result", "a map", "a map a channel", "one number", "behind a clip", "the output itself"],
)
def test_what_is_no_chain_stays(nodes, arrays, kept):
    outputs = ("out", "conv") if len(nodes) == 1 and nodes[0].op_type == "Mul" else ("out",)
    model = graph_of(*nodes, outputs=outputs, **{name: constant(*shape) for name, shape in arrays.items()})
    assert_folds_to(model, **kept)


def test_a_result_that_two_nodes_read_stays():
    model = graph_of(
        node("Mul", "conv", "scale", "scaled"),
        node("Add", "conv", "scaled", "out"),
        scale=constant(1, CHANNELS, 1, 1),
    )
    assert_folds_to(model, Mul=1, Add=1)


def test_open_nsfw_has_nothing_left_between_its_convolutions(ref_of):
    path = dict(ref_of("open_nsfw").weights)[ARTIFACT]
    pixels = np.random.default_rng(1).uniform(-120, 140, (3, 224, 224, 3)).astype(np.float32)
    plain = session(str(path))
    name = plain.get_inputs()[0].name
    folded = fold(onnx.load(str(path)))
    assert kinds(folded)["Mul"] <= 2  # of the sums of shapes at a pooling
    found = session(folded.SerializeToString()).run(None, {name: pixels})[0]
    np.testing.assert_allclose(found, plain.run(None, {name: pixels})[0], rtol=1e-4, atol=1e-7)
