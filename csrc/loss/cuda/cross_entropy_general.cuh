// Cross-entropy over logits of any strides and any number of classes, float64 included (formulas:
// cross_entropy.cuh). A pixel per thread. Memory: logits three times (largest, sums, gradient),
// mostly from the caches; gradients once.
#pragma once

#include "loss/cuda/cross_entropy.cuh"

namespace mtl {

// Grid: (blocks of pixels, images), both strided over.
template <class T, bool Gradient>
__global__ void __launch_bounds__(kThreads, sizeof(T) == 8 ? 2 : 4)
    cross_entropy_general(CudaTask task) {
  using Acc = decltype(to_acc(T()));
  const CrossEntropyRule<Acc> rule(task);
  const int classes = static_cast<int>(task.prediction.channels());
  const int64_t pixels = task.prediction.pixels(), width = task.prediction.width();
  double loss = 0.0, slope = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    for (int64_t p = int64_t{blockIdx.x} * kThreads + threadIdx.x; p < pixels;
         p += int64_t{gridDim.x} * kThreads) {
      const int64_t y = p / width, x = p % width;
      const T* f = static_cast<const T*>(task.prediction.data) + task.prediction.offset(b, y, x);
      const int64_t step = task.prediction.strides[1];
      const int label =
          load_class(task.target, task.target.offset(b, y, x), task.ignore_index, classes);
      Acc largest = to_acc(f[0]);
      for (int c = 1; c < classes; ++c) {
        const Acc value = to_acc(f[c * step]);
        if (value > largest) largest = value;
      }
      PixelSums<Acc> sums;
      for (int c = 0; c < classes; ++c) {
        sums.template add<true>(rule, c, rule.alpha * (to_acc(f[c * step]) - largest), c == label);
      }
      PixelGradient<Acc> derivative;
      Acc pixel_loss = 0, pixel_slope = 0;
      derivative.template set<true>(rule, sums, label, &pixel_loss, &pixel_slope);
      loss += static_cast<double>(pixel_loss);
      slope += static_cast<double>(pixel_slope);
      if (!Gradient) continue;
      T* g = static_cast<T*>(task.gradient.data) + task.gradient.offset(b, y, x);
      for (int c = 0; c < classes; ++c) {
        const Acc z = rule.alpha * (to_acc(f[c * step]) - largest);
        store(g + c * task.gradient.strides[1],
              derivative.template of<true>(rule, c, z, c == label));
      }
    }
  }
  write_sums<kThreads>(task, loss, slope);
}

}  // namespace mtl
