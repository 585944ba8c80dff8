// The clustering ops in Python: arrays come as addresses, contiguous, of the types said here.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <tuple>

#include "bindings/ops.h"
#include "cluster/dbscan.h"
#include "cluster/optics.h"

namespace py = pybind11;

namespace mtl {
namespace {

// Order, reachability, core distances, predecessors: addresses of [N] each.
using PyOptics = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t>;

OpticsOutputs optics_of(const PyOptics& graph) {
  const auto& [order, reachability, core_distances, predecessors] = graph;
  return {reinterpret_cast<int64_t*>(order), reinterpret_cast<double*>(reachability),
          reinterpret_cast<double*>(core_distances), reinterpret_cast<int64_t*>(predecessors)};
}

}  // namespace

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

  module.def(
      "optics_cpu",
      [](uintptr_t points, int64_t count, double max_eps, int64_t min_samples,
         const PyOptics& graph, int threads) {
        optics_cpu({reinterpret_cast<const double*>(points), nullptr, count}, max_eps, min_samples,
                   optics_of(graph), threads);
      },
      py::arg("points"), py::arg("count"), py::arg("max_eps"), py::arg("min_samples"),
      py::arg("graph"), py::arg("threads"), release(),
      "Reads points [N,2] float64; writes order int64, reachability and core distances float64, "
      "predecessors int64, [N] each.");

  module.def(
      "optics_xi",
      [](const PyOptics& graph, int64_t count, int64_t min_samples, int64_t min_cluster_size,
         double xi, bool predecessor_correction, uintptr_t labels) {
        optics_xi(optics_of(graph), count,
                  {min_samples, min_cluster_size, xi, predecessor_correction},
                  reinterpret_cast<int64_t*>(labels));
      },
      py::arg("graph"), py::arg("count"), py::arg("min_samples"), py::arg("min_cluster_size"),
      py::arg("xi"), py::arg("predecessor_correction"), py::arg("labels"), release(),
      "Writes labels [N] int64. The core distances may be absent (address 0).");
}

}  // namespace mtl
