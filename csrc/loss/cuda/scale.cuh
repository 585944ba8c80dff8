// gradient *= factor in place, in float, with one rounding. A factor of 1, decided on the device,
// touches no memory: that is the backward pass from the total. Memory: otherwise one read, one
// write.
#pragma once

#include "loss/cuda/element.cuh"
#include "loss/cuda/task.h"

namespace mtl {

// gradient [count], dense; factor [] on the device. Grid: blocks, strided over.
template <class T>
__global__ void __launch_bounds__(kThreads)
    scale_gradient(T* gradient, int64_t count, const double* factor) {
  using Acc = decltype(to_acc(T()));
  const double value = *factor;
  if (value == 1.0) return;
  const Acc scale = static_cast<Acc>(value);
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads) {
    store(gradient + i, to_acc(gradient[i]) * scale);
  }
}

}  // namespace mtl
