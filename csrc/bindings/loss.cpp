// The loss ops in Python: tensors come as (address, dtype code, sizes, strides).
#include "loss/loss.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <vector>

#include "bindings/ops.h"
#include "loss/bad_label.h"
#include "loss/instances.h"
#if defined(MTL_HAS_CUDA)
#include "loss/cuda/multi_task_loss.h"
#endif

namespace py = pybind11;

namespace mtl {
namespace {

// Sizes and strides are those of [B,C,H,W], or of [B,H,W]: a map of one channel.
using PyTensor = std::tuple<uintptr_t, int, std::vector<int64_t>, std::vector<int64_t>>;

TensorView view_of(const PyTensor& tensor) {
  TensorView view;
  const auto& [address, dtype, sizes, strides] = tensor;
  if ((sizes.size() != 3 && sizes.size() != 4) || strides.size() != sizes.size()) {
    throw std::invalid_argument("a tensor of the loss has three or four dimensions");
  }
  view.data = reinterpret_cast<void*>(address);
  view.dtype = static_cast<DType>(dtype);
  view.sizes[1] = 1;
  const bool map = sizes.size() == 3;
  for (size_t d = 0; d < sizes.size(); ++d) {
    const size_t place = map && d > 0 ? d + 1 : d;
    view.sizes[place] = sizes[d];
    view.strides[place] = strides[d];
  }
  return view;
}

TensorView view_of(const std::optional<PyTensor>& tensor) {
  return tensor ? view_of(*tensor) : TensorView{};
}

LossTask make_task(int kind, int likelihood, const PyTensor& prediction, const PyTensor& target,
                   const std::optional<PyTensor>& mask, const std::optional<PyTensor>& gradient,
                   uintptr_t class_weights, int64_t ignore_index, double label_smoothing,
                   uintptr_t log_variance, bool log_variance_is_double, double fixed_weight,
                   bool align_corners) {
  LossTask task;
  task.kind = static_cast<TaskKind>(kind);
  task.likelihood = static_cast<Likelihood>(likelihood);
  task.prediction = view_of(prediction);
  task.target = view_of(target);
  task.mask = view_of(mask);
  task.gradient = view_of(gradient);
  task.class_weights = reinterpret_cast<const double*>(class_weights);
  task.ignore_index = ignore_index;
  task.label_smoothing = label_smoothing;
  task.log_variance = reinterpret_cast<const void*>(log_variance);
  task.log_variance_is_double = log_variance_is_double;
  task.fixed_weight = fixed_weight;
  task.align_corners = align_corners;
  return task;
}

LossOutputs make_outputs(uintptr_t total, uintptr_t losses, bool in_double, uintptr_t weights,
                         uintptr_t valid, uintptr_t log_variance_gradient,
                         uintptr_t gradient_scales) {
  return {reinterpret_cast<void*>(total),
          reinterpret_cast<void*>(losses),
          in_double,
          reinterpret_cast<double*>(weights),
          reinterpret_cast<int64_t*>(valid),
          reinterpret_cast<double*>(log_variance_gradient),
          reinterpret_cast<double*>(gradient_scales)};
}

#if defined(MTL_HAS_CUDA)
void bind_cuda(py::module_& module) {
  using release = py::call_guard<py::gil_scoped_release>;
  module.def("multi_task_loss_workspace", &multi_task_loss_workspace, py::arg("tasks"));
  module.def(
      "multi_task_loss_cuda",
      [](const std::vector<LossTask>& tasks, const LossOutputs& outputs, uintptr_t workspace,
         uintptr_t stream) {
        multi_task_loss_cuda(tasks, outputs, reinterpret_cast<void*>(workspace),
                             reinterpret_cast<void*>(stream));
      },
      py::arg("tasks"), py::arg("outputs"), py::arg("workspace"), py::arg("stream"), release());
  module.def(
      "scale_gradient_cuda",
      [](uintptr_t gradient, int dtype, int64_t count, uintptr_t factor, uintptr_t stream) {
        scale_gradient_cuda(reinterpret_cast<void*>(gradient), static_cast<DType>(dtype), count,
                            reinterpret_cast<const double*>(factor),
                            reinterpret_cast<void*>(stream));
      },
      py::arg("gradient"), py::arg("dtype"), py::arg("count"), py::arg("factor"), py::arg("stream"),
      release());
  module.def("instance_centroids_workspace", &instance_centroids_workspace, py::arg("batch"));
  module.def(
      "instance_centroids_cuda",
      [](const PyTensor& ids, int64_t instances, uintptr_t centroids, uintptr_t counts,
         uintptr_t workspace, uintptr_t stream) {
        instance_centroids_cuda(view_of(ids), instances, reinterpret_cast<float*>(centroids),
                                reinterpret_cast<int64_t*>(counts),
                                reinterpret_cast<void*>(workspace),
                                reinterpret_cast<void*>(stream));
      },
      py::arg("ids"), py::arg("instances"), py::arg("centroids"), py::arg("counts"),
      py::arg("workspace"), py::arg("stream"), release());
}
#endif

// Calls `work` without the GIL; BadLabel becomes mtl_cuda._native.BadLabel with its numbers.
template <class Work>
auto run(py::handle bad_label, const Work& work) {
  try {
    py::gil_scoped_release release;
    return work();
  } catch (const BadLabel& bad) {
    const py::object error = bad_label(bad.task, bad.value, bad.image, bad.row, bad.column);
    PyErr_SetObject(bad_label.ptr(), error.ptr());
    throw py::error_already_set();
  }
}

}  // namespace

void bind_loss(py::module_& module) {
  // Leaked on purpose: a static handle must not outlive the interpreter by its destructor.
  auto* bad_label = new py::exception<BadLabel>(module, "BadLabel", PyExc_ValueError);

  py::class_<LossTask>(module, "LossTask")
      .def(py::init(&make_task), py::arg("kind"), py::arg("likelihood"), py::arg("prediction"),
           py::arg("target"), py::arg("mask"), py::arg("gradient"), py::arg("class_weights"),
           py::arg("ignore_index"), py::arg("label_smoothing"), py::arg("log_variance"),
           py::arg("log_variance_is_double"), py::arg("fixed_weight"), py::arg("align_corners"));

  module.def(
      "instance_centroids_cpu",
      [bad_label](const PyTensor& ids, int64_t instances, uintptr_t centroids, uintptr_t counts,
                  int threads) {
        run(*bad_label, [&] {
          instance_centroids_cpu(view_of(ids), instances, reinterpret_cast<float*>(centroids),
                                 reinterpret_cast<int64_t*>(counts), threads);
        });
      },
      py::arg("ids"), py::arg("instances"), py::arg("centroids"), py::arg("counts"),
      py::arg("threads"), "Writes centroids [B,K,2] float32 and counts [B,K] int64.");

  py::class_<LossOutputs>(module, "LossOutputs")
      .def(py::init(&make_outputs), py::arg("total"), py::arg("losses"), py::arg("in_double"),
           py::arg("weights"), py::arg("valid"), py::arg("log_variance_gradient"),
           py::arg("gradient_scales"));

  module.def(
      "multi_task_loss_cpu",
      [bad_label](const std::vector<LossTask>& tasks, const LossOutputs& outputs, int threads) {
        run(*bad_label, [&] { multi_task_loss_cpu(tasks, outputs, threads); });
      },
      py::arg("tasks"), py::arg("outputs"), py::arg("threads"));
#if defined(MTL_HAS_CUDA)
  bind_cuda(module);
#endif
}

}  // namespace mtl
