// gradient *= factor in place, in float, with one rounding. A factor of 1, decided on the device,
// touches no memory: that is the backward pass from the total. Memory: otherwise one read, one
// write, 16 bytes at a time where the gradient is aligned.
#pragma once

#include "common/cuda/element.cuh"
#include "loss/cuda/task.h"

namespace mtl {

// gradient [count], dense; factor [] on the device. The first `packs` times 16 bytes go in packs:
// none in double. Grid: blocks, strided over.
template <class T>
__global__ void __launch_bounds__(kThreads)
    scale_gradient(T* gradient, int64_t count, int64_t packs, const double* factor) {
  using Acc = decltype(to_acc(T()));
  constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  const double value = *factor;
  if (value == 1.0) return;
  const Acc scale = static_cast<Acc>(value);
  const int64_t first = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  if constexpr (sizeof(T) < 8) {
    for (int64_t g = first; g < packs; g += step) {
      const Pack<T> in = reinterpret_cast<const Pack<T>*>(gradient)[g];
      Pack<T> out;
#pragma unroll
      for (int i = 0; i < kSize; ++i) out.set(i, in.get(i) * scale, true);
      out.store(gradient + g * kSize);
    }
  }
  for (int64_t i = packs * kSize + first; i < count; i += step) {
    store(gradient + i, to_acc(gradient[i]) * scale);
  }
}

}  // namespace mtl
