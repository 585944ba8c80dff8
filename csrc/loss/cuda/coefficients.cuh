// Between the counts and the loss: every task's coefficients and the centroids of its instances.
// After the loss: the totals. Each is one launch for all tasks, and nothing has to come back to the
// host. Sums in a fixed order.
#pragma once

#include "common/cuda/reduce.cuh"
#include "loss/cuda/instances.cuh"
#include "loss/cuda/task.h"
#include "loss/likelihood.h"

namespace mtl {

// Completes `state` from the counts. One block calls it.
__device__ __forceinline__ void prepare_task(const CudaTask& task) {
  double weights = 0.0;
  if (task.label_weights) {
    double part = 0.0;
    for (int i = threadIdx.x; i < task.count_blocks; i += kThreads) part += task.label_weights[i];
    weights = block_sum<kThreads>(part);
  }
  if (threadIdx.x != 0) return;
  TaskState& state = *task.state;
  state.normaliser = task.label_weights ? weights : static_cast<double>(state.valid);
  state.log_variance =
      clamp_log_variance(read_log_variance(task.log_variance, task.log_variance_is_double));
  state.weight = loss_weight(task.likelihood, state.log_variance, task.fixed_weight);
  state.gradient_scale =
      stored_gradient_scale(task.prediction, task.target, state.weight, state.normaliser);
  state.gradient_factor = state.normaliser > 0.0 ? state.gradient_scale / state.normaliser : 0.0;
  state.logit_scale = logit_scale(task.likelihood, state.log_variance);
}

// Grid: (1 + kIdBlocks times images where a task has instances; tasks). Without the bound of two
// blocks the compiler spills for the sake of more.
__global__ void __launch_bounds__(kThreads, 2)
    prepare_tasks(const __grid_constant__ TaskGroup group) {
  const CudaTask& task = group.task[blockIdx.y];
  if (blockIdx.x == 0) {
    prepare_task(task);
  } else if (task.instances) {
    divide_instances(task, blockIdx.x - 1, gridDim.x - 1);
  }
}

// The term of one task in the total, in thread 0; writes the task's results, at `index`.
template <class Scalar>
__device__ __forceinline__ double finish_task(const CudaTask& task, int index,
                                              const LossOutputs& out) {
  double loss = 0.0, inner = 0.0;
  for (int i = threadIdx.x; i < task.blocks; i += kFinishThreads) {
    loss += task.sums[i].loss;
    inner += task.sums[i].log_variance;
  }
  loss = block_sum<kFinishThreads>(loss);
  inner = block_sum<kFinishThreads>(inner);
  if (threadIdx.x != 0) return 0.0;
  const TaskState& state = *task.state;
  double term = 0.0, slope = 0.0;
  if (state.bad > 0) {
    loss = term = slope = nan("");
  } else if (state.normaliser > 0.0) {
    const double s = read_log_variance(task.log_variance, task.log_variance_is_double);
    loss /= state.normaliser;
    term = state.weight * loss + regulariser(task.likelihood, state.log_variance);
    if (s >= kMinLogVariance && s <= kMaxLogVariance) {
      slope = log_variance_gradient(task.likelihood, s, loss, inner / state.normaliser);
    }
  } else {
    loss = 0.0;  // nothing valid: no loss, no s/2, no gradient
  }
  static_cast<Scalar*>(out.losses)[index] = static_cast<Scalar>(loss);
  out.weights[index] = state.weight;
  out.valid[index] = static_cast<int64_t>(state.valid);
  out.log_variance_gradient[index] = slope;
  out.gradient_scales[index] = state.gradient_scale;
  return term;
}

// One block. The group's `count` tasks are those from `first` on; `sum` holds the total of those
// before. Scalar is the type of out.total and out.losses.
template <class Scalar>
__global__ void __launch_bounds__(kFinishThreads)
    finish_tasks(const __grid_constant__ TaskGroup group, int count, int first, LossOutputs out,
                 double* sum) {
  double total = first == 0 ? 0.0 : *sum;
  for (int t = 0; t < count; ++t) total += finish_task<Scalar>(group.task[t], first + t, out);
  if (threadIdx.x != 0) return;
  *sum = total;
  *static_cast<Scalar*>(out.total) = static_cast<Scalar>(total);
}

}  // namespace mtl
