// Between the counts and the loss: every task's coefficients. After the loss: the totals. Both are
// one block, so that nothing has to come back to the host. Sums in a fixed order.
#pragma once

#include "loss/cuda/reduce.cuh"
#include "loss/cuda/task.h"
#include "loss/likelihood.h"

namespace mtl {

// One block per call. Completes `state` from the counts.
__global__ void __launch_bounds__(kThreads) prepare_task(CudaTask task) {
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

// One block per call; the calls of a step follow each other in the order of the tasks. Adds the
// task's term to `sum`, the total so far. Scalar is the type of out.total and out.losses.
template <class Scalar>
__global__ void __launch_bounds__(kThreads)
    finish_task(CudaTask task, int index, LossOutputs out, double* sum) {
  double loss = 0.0, inner = 0.0;
  for (int i = threadIdx.x; i < task.blocks; i += kThreads) {
    loss += task.sums[i].loss;
    inner += task.sums[i].log_variance;
  }
  loss = block_sum<kThreads>(loss);
  inner = block_sum<kThreads>(inner);
  if (threadIdx.x != 0) return;
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
  *sum = index == 0 ? term : *sum + term;
  *static_cast<Scalar*>(out.total) = static_cast<Scalar>(*sum);
  static_cast<Scalar*>(out.losses)[index] = static_cast<Scalar>(loss);
  out.weights[index] = state.weight;
  out.valid[index] = static_cast<int64_t>(state.valid);
  out.log_variance_gradient[index] = slope;
  out.gradient_scales[index] = state.gradient_scale;
}

}  // namespace mtl
