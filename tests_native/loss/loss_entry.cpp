// The CUDA loss for ctypes. A task is a row of numbers: see python_tests/native/simt_loss.py, which
// writes them.
#include <vector>

#include "loss/cuda/multi_task_loss.h"
#include "numbers.h"
#include "simt/entry.h"

namespace {

std::vector<mtl::LossTask> read_tasks(int64_t count, const int64_t* integers, const double* reals) {
  simt::Numbers numbers(integers);
  std::vector<mtl::LossTask> tasks(count);
  for (mtl::LossTask& task : tasks) {
    task.kind = static_cast<mtl::TaskKind>(numbers.integer());
    task.likelihood = static_cast<mtl::Likelihood>(numbers.integer());
    task.prediction = numbers.view();
    task.target = numbers.view();
    task.mask = numbers.view();
    task.gradient = numbers.view();
    task.align_corners = numbers.integer() != 0;
    task.class_weights = numbers.pointer<const double>();
    task.ignore_index = numbers.integer();
    task.log_variance = numbers.pointer<const void>();
    task.log_variance_is_double = numbers.integer() != 0;
    task.label_smoothing = *reals++;
    task.fixed_weight = *reals++;
  }
  return tasks;
}

}  // namespace

SIMT_ENTRY loss_workspace(int64_t count, const int64_t* integers, const double* reals,
                          int64_t* bytes) {
  return simt::entry(
      [&] { *bytes = mtl::multi_task_loss_workspace(read_tasks(count, integers, reals)); });
}

// total [1], losses [T] in float or double; numbers [3][T]: weights, log-variance gradients,
// gradient scales.
SIMT_ENTRY loss(int64_t count, const int64_t* integers, const double* reals, void* total,
                void* losses, int64_t in_double, double* numbers, int64_t* valid, void* workspace) {
  return simt::entry([&] {
    const mtl::LossOutputs outputs = {total, losses,          in_double != 0,     numbers,
                                      valid, numbers + count, numbers + 2 * count};
    mtl::multi_task_loss_cuda(read_tasks(count, integers, reals), outputs, workspace, nullptr);
  });
}

SIMT_ENTRY scale_gradient(void* gradient, int64_t dtype, int64_t count, const double* factor) {
  return simt::entry([&] {
    mtl::scale_gradient_cuda(gradient, static_cast<mtl::DType>(dtype), count, factor, nullptr);
  });
}

SIMT_ENTRY instance_centroids(const int64_t* ids, int64_t instances, float* centroids,
                              int64_t* counts, void* workspace) {
  return simt::entry([&] {
    mtl::instance_centroids_cuda(simt::Numbers(ids).view(), instances, centroids, counts, workspace,
                                 nullptr);
  });
}

SIMT_ENTRY instance_centroids_workspace(int64_t batch, int64_t* bytes) {
  return simt::entry([&] { *bytes = mtl::instance_centroids_workspace(batch); });
}
