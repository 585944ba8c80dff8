// Cross-entropy over channels_last logits, up to 32 classes (formulas: cross_entropy.cuh).
//
// The logits of 256 neighbouring pixels are one run of memory: a block copies it to shared memory
// in packs of 16 bytes, each thread works on one pixel there and leaves its gradients in place,
// and the run goes back in packs. Memory: logits and labels once, gradients once. An odd number of
// classes is free of bank conflicts.
#pragma once

#include "loss/cuda/cross_entropy.cuh"

namespace mtl {

// Copies `count` elements between memory and shared memory, packs first, then the rest.
template <class T>
__device__ __forceinline__ void copy_run(T* target, const T* source, int64_t count) {
  const int64_t packs = count / Pack<T>::kSize;
  for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
    reinterpret_cast<Pack<T>*>(target)[i] = reinterpret_cast<const Pack<T>*>(source)[i];
  }
  for (int64_t i = packs * Pack<T>::kSize + threadIdx.x; i < count; i += kThreads) {
    target[i] = source[i];
  }
}

// Grid: (runs of 256 pixels, images), both strided over. Dynamic shared memory: 256 * C elements.
template <class T, bool Extra, bool Gradient>
__global__ void __launch_bounds__(kThreads, 4) cross_entropy_staged(CudaTask task) {
  T* const run = dynamic_shared<T>();
  const CrossEntropyRule<float> rule(task);
  const int classes = static_cast<int>(task.prediction.channels());
  const int64_t pixels = task.prediction.pixels();
  double loss = 0.0, slope = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    const T* image = static_cast<const T*>(task.prediction.data) + b * task.prediction.strides[0];
    T* gradient = static_cast<T*>(task.gradient.data) + b * task.gradient.strides[0];
    for (int64_t begin = int64_t{blockIdx.x} * kThreads; begin < pixels;
         begin += int64_t{gridDim.x} * kThreads) {
      const int64_t count = pixels - begin < kThreads ? pixels - begin : kThreads;
      __syncthreads();  // the run before this one may still be read
      copy_run(run, image + begin * classes, count * classes);
      __syncthreads();
      if (threadIdx.x < count) {
        T* const f = run + threadIdx.x * classes;
        const int label =
            load_class(task.target,
                       b * task.target.strides[0] + (begin + threadIdx.x) * task.target.strides[3],
                       task.ignore_index, classes);
        float largest = to_acc(f[0]);
        for (int c = 1; c < classes; ++c) largest = fmaxf(largest, to_acc(f[c]));
        PixelSums<float> sums;
        for (int c = 0; c < classes; ++c) {
          sums.template add<Extra>(rule, c, rule.alpha * (to_acc(f[c]) - largest), c == label);
        }
        PixelGradient<float> derivative;
        float pixel_loss = 0.0f, pixel_slope = 0.0f;
        derivative.template set<Extra>(rule, sums, label, &pixel_loss, &pixel_slope);
        loss += static_cast<double>(pixel_loss);
        slope += static_cast<double>(pixel_slope);
        if (Gradient) {
          for (int c = 0; c < classes; ++c) {
            const float z = rule.alpha * (to_acc(f[c]) - largest);
            f[c] = from_float<T>(derivative.template of<Extra>(rule, c, z, c == label));
          }
        }
      }
      if (Gradient) {
        __syncthreads();
        copy_run(gradient + begin * classes, run, count * classes);
      }
    }
  }
  write_sums<kThreads>(task, loss, slope);
}

}  // namespace mtl
