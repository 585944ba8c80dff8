// L1 over NCHW maps in aligned runs (formulas: l1.cuh). A thread owns 16 bytes of neighbouring
// pixels of every channel: it loads the predictions of two channels before it looks at a target, so
// that enough is under way. What an image of values has beyond its last pack goes pixel by pixel.
#pragma once

#include "loss/cuda/l1.cuh"

namespace mtl {

// Targets of a values task at Count pixels.
template <int Count>
struct ValueRun {
  static constexpr bool kWholePacks = false;

  // Of the runs at pixels `first`, `first` + `step`, ... of image b.
  __device__ __forceinline__ ValueRun(const CudaTask& task, int64_t b, int64_t, int64_t)
      : view(task.target),
        mask(task.mask),
        image(b * task.target.strides[0]),
        mask_image(b * task.mask.strides[0]) {}

  __device__ __forceinline__ void load(int64_t p) {
    start = image + p;
    load_values<Count>(view, start, [&](int i, float value) { first[i] = value; });
    valid = kept_of<Count>(mask, mask_image + p);
#pragma unroll
    for (int i = 0; i < Count; ++i) valid &= ~(static_cast<unsigned>(first[i] != first[i]) << i);
    for (int64_t c = 1; c < view.channels(); ++c) {
      valid &= numbers_of<Count>(view, start + c * view.strides[1]);
    }
  }

  __device__ __forceinline__ void channel(int64_t c, float (&target)[Count]) const {
#pragma unroll
    for (int i = 0; i < Count; ++i) target[i] = first[i];
    if (c == 0) return;
    load_values<Count>(view, start + c * view.strides[1],
                       [&](int i, float value) { target[i] = value; });
  }

  const TensorView &view, &mask;
  int64_t image, mask_image, start;
  float first[Count];  // channel 0
  unsigned valid;      // pixel i at bit i
};

// Targets of an instance task. Fewer than 2^31 rows and columns.
template <int Count>
struct OffsetRun {
  static constexpr bool kWholePacks = true;

  __device__ __forceinline__ OffsetRun(const CudaTask& task, int64_t b, int64_t first, int64_t step)
      : ids(task.target),
        centroids(task.centroids + b * kInstanceRows),
        image(b * task.target.strides[0]),
        width(static_cast<int>(task.target.width())),
        y(static_cast<int>(first / width)),
        x(static_cast<int>(first % width)),
        step_y(static_cast<int>(step / width)),
        step_x(static_cast<int>(step % width)) {}

  // Called for each run in turn: row and column move on without a division.
  __device__ __forceinline__ void load(int64_t p) {
    int64_t last = 0;
    int column = x, row = y;
    float4 centroid = {};
    valid = 0;
    load_labels<Count>(ids, image + p, [&](int i, int64_t id) {
      if (is_instance(id)) {
        valid |= 1u << i;
        if (id != last) centroid = centroids[id];  // neighbours share ids
        last = id;
      }
      to_x[i] = offset_to(centroid, static_cast<float>(column), static_cast<float>(row), 0);
      to_y[i] = offset_to(centroid, static_cast<float>(column), static_cast<float>(row), 1);
      if (++column == width) column = 0, ++row;
    });
    y += step_y;
    if (x >= width - step_x) {
      x -= width - step_x;
      ++y;
    } else {
      x += step_x;
    }
  }

  __device__ __forceinline__ void channel(int64_t c, float (&target)[Count]) const {
#pragma unroll
    for (int i = 0; i < Count; ++i) target[i] = c == 0 ? to_x[i] : to_y[i];
  }

  const TensorView& ids;
  const float4* centroids;
  int64_t image;
  int width, y, x, step_y, step_x;
  float to_x[Count], to_y[Count];
  unsigned valid;
};

// Grid: (blocks of packs, images), both strided over. Requires is_aligned_run(view, Pack<T>::kSize)
// of layout.h for all tensors of the task, and for instances images of whole packs.
template <class T, template <int> class Targets, bool Gradient>
__global__ void __launch_bounds__(kThreads, sizeof(T) == 2 ? 3 : 4) l1_vector(CudaTask task) {
  constexpr int kPixels = Pack<T>::kSize;
  using Run = Targets<kPixels>;
  const float factor = static_cast<float>(task.state->gradient_factor);
  const int64_t pixels = task.prediction.pixels(), packs = pixels / kPixels;
  const int64_t channels = task.prediction.channels(), step = int64_t{gridDim.x} * kThreads;
  const int64_t first = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  double loss = 0.0;
  for (int64_t b = blockIdx.y; b < task.prediction.batch(); b += gridDim.y) {
    const T* image = static_cast<const T*>(task.prediction.data) + b * task.prediction.strides[0];
    T* gradient = static_cast<T*>(task.gradient.data) + b * task.gradient.strides[0];
    Run targets(task, b, first * kPixels, step * kPixels);
    for (int64_t g = first; g < packs; g += step) {
      const auto load = [&](int64_t c) {
        Pack<T> pack;
        load_words<4>(image + c * task.prediction.strides[1] + g * kPixels, pack.word);
        return pack;
      };
      const Pack<T> ahead[2] = {load(0), load(channels > 1 ? 1 : 0)};
      targets.load(g * kPixels);
      float part = 0.0f;
      for (int64_t c = 0; c < channels; ++c) {
        const Pack<T> f = c == 0 ? ahead[0] : c == 1 ? ahead[1] : load(c);
        float target[kPixels];
        targets.channel(c, target);
        Pack<T> out;
#pragma unroll
        for (int i = 0; i < kPixels; ++i) {
          const bool valid = targets.valid >> i & 1u;
          const float d = f.get(i) - target[i];
          part += valid ? fabsf(d) : 0.0f;
          out.set(i, factor * sign_of(d), valid);
        }
        if constexpr (Gradient) {
          out.store(gradient + c * task.gradient.strides[1] + g * kPixels);
        }
      }
      loss += static_cast<double>(part);
    }
    if constexpr (!Run::kWholePacks) {
      for (int64_t p = packs * kPixels + first; p < pixels; p += step) {
        loss += l1_pixel<T, ValueTarget, Gradient>(task, factor, b, p);
      }
    }
  }
  write_sums<kThreads>(task, loss, 0.0);
}

}  // namespace mtl
