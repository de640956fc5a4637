"""Swiftlet as a backend of ONNX's: what `onnx.backend.test` and tools like it drive.

    onnx.backend.test.BackendTest(swiftlet.backend, __name__)
"""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from ._library import Error
from ._session import Session

_UNSUPPORTED = 3


class SwiftletRep(BackendRep):
    """A model that is ready to be run."""

    def __init__(self, session: Session):
        self._session = session

    def run(self, inputs: Any, **kwargs: Any) -> Tuple[np.ndarray, ...]:
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if not isinstance(inputs, dict):
            inputs = {value.name: array for value, array in zip(self._session.inputs, inputs)}
        results = self._session.run({name: np.asarray(array) for name, array in inputs.items()})
        return tuple(results[value.name] for value in self._session.outputs)


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
        return SwiftletRep(Session(model.SerializeToString(), **kwargs))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU",
                  **kwargs: Any) -> Tuple[np.ndarray, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Sequence[np.ndarray], device: str = "CPU",
                 outputs_info: Any = None, **kwargs: Any) -> Tuple[np.ndarray, ...]:
        """Runs a model of one node. Types and shapes of the outputs need not be known."""
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
        return SwiftletRep(Session(model.SerializeToString(), **kwargs)).run(
            dict(zip(names, arrays)))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"


is_compatible = SwiftletBackend.is_compatible
prepare = SwiftletBackend.prepare
run_model = SwiftletBackend.run_model
run_node = SwiftletBackend.run_node
supports_device = SwiftletBackend.supports_device
