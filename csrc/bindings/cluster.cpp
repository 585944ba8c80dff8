// The clustering ops in Python: arrays come as addresses, contiguous, of the types said here.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/ops.h"
#include "cluster/dbscan.h"

namespace py = pybind11;

namespace mtl {

void bind_cluster(py::module_& module) {
  using release = py::call_guard<py::gil_scoped_release>;

  module.def(
      "dbscan_cpu",
      [](uintptr_t points, int64_t count, double eps, int64_t min_samples, int border,
         uintptr_t labels, uintptr_t core, int threads) {
        dbscan_cpu({reinterpret_cast<const double*>(points), nullptr, count},
                   {eps, min_samples, static_cast<Border>(border)},
                   reinterpret_cast<int32_t*>(labels), reinterpret_cast<bool*>(core), threads);
      },
      py::arg("points"), py::arg("count"), py::arg("eps"), py::arg("min_samples"),
      py::arg("border"), py::arg("labels"), py::arg("core"), py::arg("threads"), release(),
      "Reads points [N,2] float64; writes labels [N] int32 and core [N] bool.");
}

}  // namespace mtl
