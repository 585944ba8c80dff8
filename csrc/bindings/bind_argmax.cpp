// argmax_upsampled in Python.
#include <pybind11/pybind11.h>

#include "argmax/argmax_upsampled.h"
#include "bindings/ops.h"
#include "bindings/tensor.h"
#if defined(MTL_HAS_CUDA)
#include "argmax/cuda/argmax_upsampled.h"
#endif

namespace py = pybind11;

namespace mtl {
void bind_argmax(py::module_& module) {
  using release = py::call_guard<py::gil_scoped_release>;

  py::class_<ArgmaxTask>(module, "ArgmaxTask")
      .def(py::init([](const TensorView& logits, const TensorView& classes,
                       const TensorView& probability, const TensorView& entropy,
                       bool align_corners) -> ArgmaxTask {
             return {logits, classes, probability, entropy, align_corners};
           }),
           py::arg("logits"), py::arg("classes"), py::arg("probability"), py::arg("entropy"),
           py::arg("align_corners"));
  module.def("argmax_upsampled_cpu", &argmax_upsampled_cpu, py::arg("task"), py::arg("threads"),
             release(), "Writes the results that the task names.");
#if defined(MTL_HAS_CUDA)
  module.def(
      "argmax_upsampled_cuda",
      [](const ArgmaxTask& task, uintptr_t stream) {
        argmax_upsampled_cuda(task, reinterpret_cast<void*>(stream));
      },
      py::arg("task"), py::arg("stream"), release());
#endif
}

}  // namespace mtl
