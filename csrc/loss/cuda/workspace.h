// How the scratch memory of one call is divided: first what must start as zero, then the rest.
#pragma once

#include <algorithm>
#include <vector>

#include "loss/cuda/layout.h"
#include "loss/cuda/task.h"
#include "loss/cuda/upsampled/grid.h"
#include "loss/instances.h"

namespace mtl {

// Whether the targets, and the mask, of the whole batch are one aligned run each.
inline bool counts_in_runs(const CudaTask& task) {
  const auto fits = [](const TensorView& map) {
    return is_one_run(map) && is_aligned_run(map, kCountRun);
  };
  return fits(task.target) && (!task.mask.data || fits(task.mask));
}

class LossWorkspace {
 public:
  // With `memory` null only the sizes count.
  LossWorkspace(const std::vector<LossTask>& tasks, void* memory)
      : memory_(static_cast<char*>(memory)) {
    for (const LossTask& task : tasks) tasks_.push_back(describe(task));
    for (size_t t = 0; t < tasks.size(); ++t) tasks_[t].state = take<TaskState>(1);
    for (size_t t = 0; t < tasks.size(); ++t) {
      if (has_instances(tasks[t])) tasks_[t].instances = take<InstanceRow>(rows(tasks[t]));
    }
    zeroed_ = used_;
    sum_ = take<double>(1);
    for (size_t t = 0; t < tasks.size(); ++t) {
      tasks_[t].sums = take<BlockSums>(kMaxMainBlocks);
      if (tasks[t].class_weights) tasks_[t].label_weights = take<double>(kMaxCountBlocks);
      if (has_instances(tasks[t])) tasks_[t].centroids = take<float4>(rows(tasks[t]));
      if (is_upsampled(tasks[t]) && tasks[t].gradient.data) {
        tasks_[t].regions = take<char>(region_bytes(tasks[t]));
      }
    }
  }

  std::vector<CudaTask>& tasks() { return tasks_; }
  double* sum() const { return sum_; }
  int64_t zeroed_bytes() const { return zeroed_; }
  int64_t bytes() const { return used_; }

 private:
  static bool has_instances(const LossTask& task) { return task.kind == TaskKind::kInstanceOffset; }
  static int64_t rows(const LossTask& task) { return task.target.batch() * kInstanceRows; }

  static int64_t region_bytes(const LossTask& task) {
    const UpsampledGrid grid = upsampled_grid(task.prediction, task.target, task.align_corners);
    const int64_t scalar = task.prediction.dtype == DType::kFloat64 ? 8 : 4;
    return grid.parts() * grid.region_size() * scalar;
  }

  static CudaTask describe(const LossTask& task) {
    CudaTask described = {};
    described.kind = task.kind;
    described.likelihood = task.likelihood;
    described.prediction = task.prediction;
    described.target = task.target;
    described.mask = task.mask;
    described.gradient = task.gradient;
    described.align_corners = task.align_corners;
    described.class_weights = task.class_weights;
    described.ignore_index = task.ignore_index;
    described.label_smoothing = task.label_smoothing;
    described.fixed_weight = task.fixed_weight;
    const int64_t rows = task.target.batch() * task.target.height();
    described.count_blocks =
        static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(rows, kMaxCountBlocks)));
    described.log_variance = task.log_variance;
    described.log_variance_is_double = task.log_variance_is_double;
    described.target_in_runs = counts_in_runs(described);
    return described;
  }

  template <class T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 256;
    T* place = reinterpret_cast<T*>(memory_ ? memory_ + used_ : nullptr);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return place;
  }

  std::vector<CudaTask> tasks_;
  char* memory_;
  double* sum_ = nullptr;
  int64_t used_ = 0, zeroed_ = 0;
};

}  // namespace mtl
