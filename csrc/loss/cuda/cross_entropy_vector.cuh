// Cross-entropy over NCHW logits, up to MaxClasses classes (formulas: cross_entropy.cuh).
//
// A thread owns a pack of neighbouring pixels of one image, 16 bytes of every class: it loads the
// packs, all before the first use, keeps them in registers as they are, and writes one pack of
// gradients per class. Memory: logits and labels once, gradients once.
#pragma once

#include "loss/cuda/cross_entropy.cuh"

namespace mtl {

// The packs of one thread: pixels innermost, MaxClasses of them unrolled, `classes` used.
template <class T, int MaxClasses>
struct LogitPacks {
  Pack<T> pack[MaxClasses];

  __device__ __forceinline__ void load(const T* first, int64_t channel_stride, int classes) {
#pragma unroll
    for (int c = 0; c < MaxClasses; ++c) {
      if (c < classes) pack[c] = *reinterpret_cast<const Pack<T>*>(first + c * channel_stride);
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

// Blocks per multiprocessor: as many as the packs and their sums leave registers for. Without it
// the compiler takes up to 255 for newer architectures, whatever the number of classes.
template <int MaxClasses>
constexpr int kVectorBlocks = MaxClasses <= 8 ? 4 : (MaxClasses <= 20 ? 3 : 2);

// Grid: (blocks of pixels, images), both strided over; block (x, y) writes sums[y * gridDim.x + x].
// Requires 16-byte alignment of every pack: see is_planar() in cross_entropy_launch.cuh.
template <class T, int MaxClasses, bool Extra, bool Gradient>
__global__ void __launch_bounds__(kVectorThreads, kVectorBlocks<MaxClasses>)
    cross_entropy_vector(CudaTask task) {
  constexpr int kPixels = Pack<T>::kSize;
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
      LogitPacks<T, MaxClasses> logits;
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
            Pack<T> out;
            logits.pack[c].forget();
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
