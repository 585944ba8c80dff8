// The loss ops in Python: tensors come as (address, dtype code, sizes, strides).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <vector>

#include "bindings/ops.h"
#include "bindings/tensor.h"
#include "loss/bad_label.h"
#include "loss/instances.h"
#include "loss/loss.h"
#if defined(MTL_HAS_CUDA)
#include "loss/cuda/multi_task_loss.h"
#endif

namespace py = pybind11;

namespace mtl {
namespace {

// The tasks of one call. Python keeps a set without tensors, made once, and completes a copy of it
// in each call: what does not change between calls crosses the border once.
struct LossTasks {
  std::vector<LossTask> tasks;
};

// (kind, likelihood, address of class weights or 0, ignore_index, label_smoothing)
using PyTask = std::tuple<int, int, uintptr_t, int64_t, double>;

LossTasks make_tasks(const std::vector<PyTask>& given) {
  LossTasks result;
  for (const auto& [kind, likelihood, class_weights, ignore_index, label_smoothing] : given) {
    LossTask task;
    task.kind = static_cast<TaskKind>(kind);
    task.likelihood = static_cast<Likelihood>(likelihood);
    task.class_weights = reinterpret_cast<const double*>(class_weights);
    task.ignore_index = ignore_index;
    task.label_smoothing = label_smoothing;
    result.tasks.push_back(task);
  }
  return result;
}

// prediction, target, mask, gradient
using PyTensors = std::tuple<TensorView, TensorView, TensorView, TensorView>;

// Either log-variances, (address, bytes from one to the next, whether double), or fixed weights.
LossTasks with_tensors(const LossTasks& given, const std::vector<PyTensors>& tensors,
                       const std::optional<std::tuple<uintptr_t, int64_t, bool>>& log_variances,
                       const std::vector<double>& fixed_weights, bool align_corners) {
  LossTasks result = given;
  const size_t count = result.tasks.size();
  if (tensors.size() != count || (!log_variances && fixed_weights.size() != count)) {
    throw std::invalid_argument("expected tensors, and a log-variance or a weight, for each task");
  }
  for (size_t t = 0; t < count; ++t) {
    LossTask& task = result.tasks[t];
    std::tie(task.prediction, task.target, task.mask, task.gradient) = tensors[t];
    task.align_corners = align_corners;
    if (log_variances) {
      const auto& [address, step, is_double] = *log_variances;
      task.log_variance = reinterpret_cast<const char*>(address) + static_cast<int64_t>(t) * step;
      task.log_variance_is_double = is_double;
    } else {
      task.likelihood = Likelihood::kFixed;
      task.fixed_weight = fixed_weights[t];
    }
  }
  return result;
}

// total [] and losses [T] of float or, `in_double`, of double; valid [T] int64; numbers [3,T]
// double: the rows `weights`, `log_variance_gradient` and `gradient_scales` of LossOutputs.
using PyOutputs = std::tuple<uintptr_t, uintptr_t, bool, uintptr_t, uintptr_t>;

LossOutputs outputs_of(const PyOutputs& given, size_t tasks) {
  const auto& [total, losses, in_double, valid, numbers] = given;
  double* rows = reinterpret_cast<double*>(numbers);
  return {reinterpret_cast<void*>(total),
          reinterpret_cast<void*>(losses),
          in_double,
          rows,
          reinterpret_cast<int64_t*>(valid),
          rows + tasks,
          rows + 2 * tasks};
}

#if defined(MTL_HAS_CUDA)
void bind_cuda(py::module_& module) {
  using release = py::call_guard<py::gil_scoped_release>;
  module.def(
      "multi_task_loss_workspace",
      [](const LossTasks& given) { return multi_task_loss_workspace(given.tasks); },
      py::arg("tasks"));
  module.def(
      "multi_task_loss_cuda",
      [](const LossTasks& given, const PyOutputs& outputs, uintptr_t workspace, uintptr_t stream) {
        multi_task_loss_cuda(given.tasks, outputs_of(outputs, given.tasks.size()),
                             reinterpret_cast<void*>(workspace), reinterpret_cast<void*>(stream));
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
      [](const TensorView& ids, int64_t instances, uintptr_t centroids, uintptr_t counts,
         uintptr_t workspace, uintptr_t stream) {
        instance_centroids_cuda(
            ids, instances, reinterpret_cast<float*>(centroids), reinterpret_cast<int64_t*>(counts),
            reinterpret_cast<void*>(workspace), reinterpret_cast<void*>(stream));
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

  py::class_<LossTasks>(module, "LossTasks")
      .def(py::init(&make_tasks), py::arg("tasks"))
      .def("with_tensors", &with_tensors, py::arg("tensors"), py::arg("log_variances"),
           py::arg("fixed_weights"), py::arg("align_corners"));

  module.def(
      "instance_centroids_cpu",
      [bad_label](const TensorView& ids, int64_t instances, uintptr_t centroids, uintptr_t counts,
                  int threads) {
        run(*bad_label, [&] {
          instance_centroids_cpu(ids, instances, reinterpret_cast<float*>(centroids),
                                 reinterpret_cast<int64_t*>(counts), threads);
        });
      },
      py::arg("ids"), py::arg("instances"), py::arg("centroids"), py::arg("counts"),
      py::arg("threads"), "Writes centroids [B,K,2] float32 and counts [B,K] int64.");

  module.def(
      "multi_task_loss_cpu",
      [bad_label](const LossTasks& given, const PyOutputs& outputs, int threads) {
        const LossOutputs results = outputs_of(outputs, given.tasks.size());
        run(*bad_label, [&] { multi_task_loss_cpu(given.tasks, results, threads); });
      },
      py::arg("tasks"), py::arg("outputs"), py::arg("threads"));
#if defined(MTL_HAS_CUDA)
  bind_cuda(module);
#endif
}

}  // namespace mtl
