// The clustering ops in Python: arrays come as addresses, contiguous, of the types said here.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <tuple>
#include <vector>

#include "bindings/ops.h"
#include "bindings/tensor.h"
#include "cluster/cluster_instances.h"
#include "cluster/dbscan.h"
#include "cluster/optics.h"
#if defined(MTL_HAS_CUDA)
#include "cluster/cuda/cluster_instances.h"
#include "cluster/cuda/dbscan.h"
#endif

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

// Columns of a table of instances: image, class, x, y, pixels, score.
using PyInstances = std::tuple<std::vector<int64_t>, std::vector<int64_t>, std::vector<double>,
                               std::vector<double>, std::vector<int64_t>, std::vector<double>>;

PyInstances columns_of(const std::vector<Instance>& instances) {
  PyInstances columns;
  auto& [image, class_id, x, y, pixels, score] = columns;
  for (const Instance& instance : instances) {
    image.push_back(instance.image);
    class_id.push_back(instance.class_id);
    x.push_back(instance.x);
    y.push_back(instance.y);
    pixels.push_back(instance.pixels);
    score.push_back(instance.score);
  }
  return columns;
}

InstanceSettings make_settings(int method, double eps, int64_t min_samples, int border,
                               int64_t cells_per_pixel, double margin, double max_distance,
                               int64_t min_pixels, bool class_agnostic,
                               const std::vector<int64_t>& thing_classes) {
  InstanceSettings settings;
  settings.method = static_cast<VoteMethod>(method);
  settings.dbscan = {eps, min_samples, static_cast<Border>(border)};
  settings.cells_per_pixel = cells_per_pixel;
  settings.margin = margin;
  settings.max_distance = max_distance;
  settings.min_pixels = min_pixels;
  settings.class_agnostic = class_agnostic;
  settings.thing_classes = thing_classes;
  return settings;
}

#if defined(MTL_HAS_CUDA)
// Ids, found, classes, centroids, pixels, scores: addresses on the device.
using PyTables = std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>;

CudaInstanceTables tables_of(const PyTables& tables) {
  const auto& [ids, found, classes, centroids, pixels, scores] = tables;
  return {reinterpret_cast<int32_t*>(ids),     reinterpret_cast<int32_t*>(found),
          reinterpret_cast<int64_t*>(classes), reinterpret_cast<float*>(centroids),
          reinterpret_cast<int64_t*>(pixels),  reinterpret_cast<float*>(scores)};
}

void bind_cuda(py::module_& module) {
  module.attr("MAX_CLUSTERS") = kMaxClusters;
  module.def(
      "cluster_instances_workspace",
      [](const TensorView& offsets, const InstanceSettings& settings) {
        return cluster_instances_workspace({offsets, {}, {}}, settings);
      },
      py::arg("offsets"), py::arg("settings"));
  module.def(
      "cluster_instances_cuda",
      [](const TensorView& offsets, const TensorView& semantic, const TensorView& probabilities,
         const InstanceSettings& settings, const PyTables& tables, uintptr_t workspace,
         uintptr_t stream) {
        cluster_instances_cuda({offsets, semantic, probabilities}, settings, tables_of(tables),
                               reinterpret_cast<void*>(workspace), reinterpret_cast<void*>(stream));
      },
      py::arg("offsets"), py::arg("semantic"), py::arg("probabilities"), py::arg("settings"),
      py::arg("tables"), py::arg("workspace"), py::arg("stream"),
      py::call_guard<py::gil_scoped_release>(),
      "Tables have MAX_CLUSTERS rows per image; found is [B] int32.");
  module.def("dbscan_workspace", &dbscan_workspace, py::arg("count"));
  module.def(
      "dbscan_cuda",
      [](uintptr_t points, int64_t count, double eps, int64_t min_samples, int border,
         uintptr_t labels, uintptr_t core, uintptr_t workspace, uintptr_t stream) {
        dbscan_cuda({reinterpret_cast<const double*>(points), nullptr, count},
                    {eps, min_samples, static_cast<Border>(border)},
                    reinterpret_cast<int32_t*>(labels), reinterpret_cast<bool*>(core),
                    reinterpret_cast<void*>(workspace), reinterpret_cast<void*>(stream));
      },
      py::arg("points"), py::arg("count"), py::arg("eps"), py::arg("min_samples"),
      py::arg("border"), py::arg("labels"), py::arg("core"), py::arg("workspace"),
      py::arg("stream"), py::call_guard<py::gil_scoped_release>(),
      "As dbscan_cpu, of addresses on the device.");
}
#endif

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

  py::class_<InstanceSettings>(module, "InstanceSettings")
      .def(py::init(&make_settings), py::arg("method"), py::arg("eps"), py::arg("min_samples"),
           py::arg("border"), py::arg("cells_per_pixel"), py::arg("margin"),
           py::arg("max_distance"), py::arg("min_pixels"), py::arg("class_agnostic"),
           py::arg("thing_classes"));

  module.def(
      "cluster_instances_cpu",
      [](const TensorView& offsets, const TensorView& semantic, const TensorView& probabilities,
         const InstanceSettings& settings, uintptr_t ids, int threads) {
        return columns_of(cluster_instances_cpu({offsets, semantic, probabilities}, settings,
                                                reinterpret_cast<int32_t*>(ids), threads));
      },
      py::arg("offsets"), py::arg("semantic"), py::arg("probabilities"), py::arg("settings"),
      py::arg("ids"), py::arg("threads"), release(),
      "Writes ids [B,H,W] int32; returns the columns image, class, x, y, pixels, score.");
#if defined(MTL_HAS_CUDA)
  bind_cuda(module);
#endif
}

}  // namespace mtl
