// Cross-entropy over NCHW logits, up to MaxClasses classes (formulas: cross_entropy.cuh).
//
// A thread owns a pack of neighbouring pixels of one image, 16 bytes of every class (8 where those
// of a half type would not fit into registers): it loads the packs, all before the first
// use, keeps them in registers as they are, and writes one pack of gradients per class. Memory:
// logits and labels once, gradients once.
#pragma once

#include "loss/cuda/cross_entropy.cuh"

namespace mtl {

// Pixels per thread.
template <class T, int MaxClasses, bool Extra>
constexpr int kVectorPixels = sizeof(T) == 2 && MaxClasses > (Extra ? 8 : 20) ? 4 : Pack<T>::kSize;

// The packs of one thread: pixels innermost, MaxClasses of them unrolled, `classes` used.
template <class T, int MaxClasses, int Count>
struct LogitPacks {
  using Pixels = Pack<T, Count>;
  Pixels pack[MaxClasses];

  __device__ __forceinline__ void load(const T* first, int64_t channel_stride, int classes) {
#pragma unroll
    for (int c = 0; c < MaxClasses; ++c) {
      if (c < classes) pack[c] = *reinterpret_cast<const Pixels*>(first + c * channel_stride);
    }
  }

  __device__ __forceinline__ float largest(int pixel, int classes) const {
    float m = pack[0].get(pixel);
#pragma unroll
    for (int c = 1; c < MaxClasses; ++c) {
      const float f = pack[c].get(pixel);
      if (c < classes && f > m) m = f;
    }
    return m;
  }
};

// Grid: (blocks of pixels, images), both strided over; block (x, y) writes sums[y * gridDim.x + x].
// Requires 16-byte alignment of every pack: see is_planar() in cross_entropy_launch.cuh.
template <class T, int MaxClasses, bool Extra, bool Gradient>
__global__ void __launch_bounds__(kVectorThreads, MaxClasses > 8 ? 2 : 3)
    cross_entropy_vector(CudaTask task) {
  constexpr int kPixels = kVectorPixels<T, MaxClasses, Extra>;
  using Logits = LogitPacks<T, MaxClasses, kPixels>;
  const CrossEntropyRule<float> rule(task);
  const int classes = static_cast<int>(task.prediction.channels());
  const int64_t groups = task.prediction.pixels() / kPixels;
  const int64_t stride = task.prediction.strides[1];
  double loss = 0.0, slope = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    const T* image = static_cast<const T*>(task.prediction.data) + b * task.prediction.strides[0];
    T* gradient = static_cast<T*>(task.gradient.data) + b * task.gradient.strides[0];
    const int64_t labels = b * task.target.strides[0];
    for (int64_t g = int64_t{blockIdx.x} * kVectorThreads + threadIdx.x; g < groups;
         g += int64_t{gridDim.x} * kVectorThreads) {
      Logits logits;
      logits.load(image + g * kPixels, stride, classes);
      int label[kPixels];
      float largest[kPixels];
      PixelGradient<float> derivative[kPixels];
      float pixel_loss = 0.0f, pixel_slope = 0.0f;
#pragma unroll
      for (int i = 0; i < kPixels; ++i) {
        label[i] = load_class(task.target, labels + (g * kPixels + i) * task.target.strides[3],
                              task.ignore_index, classes);
        largest[i] = logits.largest(i, classes);
        PixelSums<float> sums;
#pragma unroll
        for (int c = 0; c < MaxClasses; ++c) {
          if (c < classes) {
            const float z = rule.alpha * (logits.pack[c].get(i) - largest[i]);
            sums.template add<Extra>(rule, c, z, c == label[i]);
          }
        }
        derivative[i].template set<Extra>(rule, sums, label[i], &pixel_loss, &pixel_slope);
      }
      loss += static_cast<double>(pixel_loss);
      slope += static_cast<double>(pixel_slope);
      if constexpr (Gradient) {
#pragma unroll
        for (int c = 0; c < MaxClasses; ++c) {
          if (c < classes) {
            typename Logits::Pixels out;
#pragma unroll
            for (int i = 0; i < kPixels; ++i) {
              const float z = rule.alpha * (logits.pack[c].get(i) - largest[i]);
              out.set(i, derivative[i].template formula<Extra>(rule, c, z, c == label[i]),
                      derivative[i].inside);
            }
            out.store(gradient + c * task.gradient.strides[1] + g * kPixels);
          }
        }
      }
    }
  }
  write_sums<kVectorThreads>(task, loss, slope);
}

}  // namespace mtl
