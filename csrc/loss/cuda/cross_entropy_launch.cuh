// Chooses and launches the cross-entropy kernel of a task whose predictions are of type T
// (cross_entropy.cuh lists them). One .cu file per type includes this, so that they build in
// parallel.
#pragma once

#include "loss/cuda/cross_entropy_dispatch.h"
#include "loss/cuda/cross_entropy_general.cuh"
#include "loss/cuda/cross_entropy_staged.cuh"
#include "loss/cuda/cross_entropy_vector.cuh"
#include "loss/cuda/layout.h"

namespace mtl {
namespace cross_entropy {

constexpr int64_t kFewClasses = 32;

// NCHW: every channel of every image in whole packs of 16 bytes.
inline bool is_planar(const TensorView& view, int64_t bytes) {
  return is_aligned_run(view, 16 / bytes) && view.pixels() * bytes % 16 == 0;
}

// channels_last: an image in one run, every image aligned.
inline bool is_interleaved(const TensorView& view, int64_t bytes) {
  return view.strides[1] == 1 && view.strides[3] == view.channels() && view.rows_join() &&
         reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.strides[0] * bytes % 16 == 0;
}

template <class Fits>
bool both(const CudaTask& task, const Fits& fits) {
  return task.prediction.channels() <= kFewClasses && task.target.rows_join() &&
         fits(task.prediction) && (!task.gradient.data || fits(task.gradient));
}

inline bool needs_extra(const CudaTask& task) {
  return task.label_smoothing > 0.0 || task.likelihood == Likelihood::kScaledSoftmax;
}

template <class T, int MaxClasses, bool Extra>
int launch_vector(const CudaTask& task, void* stream) {
  const int64_t packs = task.prediction.pixels() / Pack<T>::kSize;
  const dim3 grid = main_grid(packs, kVectorThreads, task.prediction.batch());
  if (task.gradient.data) {
    launch(cross_entropy_vector<T, MaxClasses, Extra, true>, grid, dim3(kVectorThreads), 0, stream,
           task);
  } else {
    launch(cross_entropy_vector<T, MaxClasses, Extra, false>, grid, dim3(kVectorThreads), 0, stream,
           task);
  }
  return static_cast<int>(grid.x * grid.y);
}

template <class T, int MaxClasses>
int launch_vector(const CudaTask& task, void* stream) {
  return needs_extra(task) ? launch_vector<T, MaxClasses, true>(task, stream)
                           : launch_vector<T, MaxClasses, false>(task, stream);
}

template <class T>
int launch_vector(const CudaTask& task, void* stream) {
  const int64_t classes = task.prediction.channels();
  return classes <= 8    ? launch_vector<T, 8>(task, stream)
         : classes <= 20 ? launch_vector<T, 20>(task, stream)
                         : launch_vector<T, 32>(task, stream);
}

template <class T, bool Extra>
int launch_staged(const CudaTask& task, void* stream) {
  const dim3 grid = main_grid(task.prediction.pixels(), kThreads, task.prediction.batch());
  const size_t bytes = kThreads * static_cast<size_t>(task.prediction.channels()) * sizeof(T);
  if (task.gradient.data) {
    launch(cross_entropy_staged<T, Extra, true>, grid, dim3(kThreads), bytes, stream, task);
  } else {
    launch(cross_entropy_staged<T, Extra, false>, grid, dim3(kThreads), bytes, stream, task);
  }
  return static_cast<int>(grid.x * grid.y);
}

template <class T>
int launch_general(const CudaTask& task, void* stream) {
  const dim3 grid = main_grid(task.prediction.pixels(), kThreads, task.prediction.batch());
  if (task.gradient.data) {
    launch(cross_entropy_general<T, true>, grid, dim3(kThreads), 0, stream, task);
  } else {
    launch(cross_entropy_general<T, false>, grid, dim3(kThreads), 0, stream, task);
  }
  return static_cast<int>(grid.x * grid.y);
}

template <class T>
int launch_fastest(const CudaTask& task, void* stream) {
  constexpr int64_t kBytes = sizeof(T);
  const auto planar = [](const TensorView& view) { return is_planar(view, kBytes); };
  const auto interleaved = [](const TensorView& view) { return is_interleaved(view, kBytes); };
  if (both(task, planar)) return launch_vector<T>(task, stream);
  if (both(task, interleaved)) {
    return needs_extra(task) ? launch_staged<T, true>(task, stream)
                             : launch_staged<T, false>(task, stream);
  }
  return launch_general<T>(task, stream);
}

}  // namespace cross_entropy
}  // namespace mtl
