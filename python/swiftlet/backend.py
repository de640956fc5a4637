# SPDX-License-Identifier: Apache-2.0
"""Swiftlet as an ONNX backend, for `onnx.backend.test` and similar tools.

    onnx.backend.test.BackendTest(swiftlet.backend, __name__)
"""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from ._library import Error
from ._session import Session

_UNSUPPORTED = 3


# Bits of the swiftlet_dtypes that numpy supports only through ml_dtypes, which onnx installs.
_COMPACT: Dict[int, int] = {17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 25: 2, 26: 2}


def _packed(array: np.ndarray, bits: int) -> np.ndarray:
    """Packs elements of one byte each as the library stores them, the first in the lowest bits."""
    each = np.ascontiguousarray(array).view(np.uint8).ravel() & (0xFF >> (8 - bits))
    count = 8 // bits
    each = np.concatenate([each, np.zeros(-len(each) % count, np.uint8)]).reshape(-1, count)
    return (each << (bits * np.arange(count, dtype=np.uint8))).sum(1, dtype=np.uint8)


def _unpacked(elements: np.ndarray, number: int, shape: Tuple[int, ...]) -> np.ndarray:
    """The inverse of `_packed`."""
    bits, dtype = _COMPACT[number], onnx.helper.tensor_dtype_to_np_dtype(number)
    shifts = bits * np.arange(8 // bits, dtype=np.uint8)
    each = (elements.reshape(-1, 1) >> shifts & (0xFF >> (8 - bits))).ravel()
    each = each[:int(np.prod(shape))].reshape(shape)
    if number in (onnx.TensorProto.INT4, onnx.TensorProto.INT2):
        each = (each << (8 - bits)).view(np.int8) >> (8 - bits)
    # Floating-point types are reinterpreted from their bits; integers are converted.
    return each.view(dtype) if "float" in str(dtype) else each.astype(dtype)


class SwiftletRep(BackendRep):
    """A model that is ready to run. 16-bit floats are computed in fp32."""

    def __init__(self, session: Session, outputs: Sequence[onnx.ValueInfoProto]):
        self._session = session
        self._types = [value.type.tensor_type.elem_type for value in outputs]

    def run(self, inputs: Any, **kwargs: Any) -> Tuple[np.ndarray, ...]:
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if not isinstance(inputs, dict):
            inputs = {value.name: array for value, array in zip(self._session.inputs, inputs)}
        request = self._session.request()
        for name, array in inputs.items():
            array = np.asarray(array)
            number = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            if number in _COMPACT:
                request.bind_bytes(name, number, array.shape, _packed(array, _COMPACT[number]))
            else:
                half = number in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
                request.bind(name, array.astype(np.float32) if half else array)
        request.run()
        return tuple(self._typed(*request.raw(index), number)
                     for index, number in enumerate(self._types))

    @staticmethod
    def _typed(number: int, shape: Tuple[int, ...], elements: np.ndarray, asked: int) -> np.ndarray:
        """Converts a result to the type that the model declares."""
        if number in _COMPACT:
            return _unpacked(elements, number, shape)
        half = asked in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
        return elements.astype(onnx.helper.tensor_dtype_to_np_dtype(asked)) if half else elements


class SwiftletBackend(Backend):
    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        try:
            Session(model.SerializeToString())
        except Error as error:
            if error.status != _UNSUPPORTED:
                raise
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> SwiftletRep:
        super().prepare(model, device, **kwargs)
        return SwiftletRep(Session(model.SerializeToString(), **kwargs), model.graph.output)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU",
                  **kwargs: Any) -> Tuple[np.ndarray, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Sequence[np.ndarray], device: str = "CPU",
                 outputs_info: Any = None, **kwargs: Any) -> Tuple[np.ndarray, ...]:
        """Runs a model of one node. The types and shapes of its outputs may be unknown."""
        arrays = [np.asarray(array) for array in inputs]
        names = [name for name in node.input if name]
        values = [onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays)]
        graph = onnx.helper.make_graph(
            [node], "node", values, [onnx.ValueInfoProto(name=name) for name in node.output if name])
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        model = onnx.helper.make_model(
            onnx.shape_inference.infer_shapes(onnx.helper.make_model(
                graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])).graph,
            opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return SwiftletRep(Session(model.SerializeToString(), **kwargs), model.graph.output).run(
            dict(zip(names, arrays)))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"


is_compatible = SwiftletBackend.is_compatible
prepare = SwiftletBackend.prepare
run_model = SwiftletBackend.run_model
run_node = SwiftletBackend.run_node
supports_device = SwiftletBackend.supports_device
