// Which kernel runs for low-resolution predictions.
#pragma once

#include "loss/cuda/task.h"

namespace mtl {

// Launch the kernel of the task and, where gradients are wanted, the one that combines its regions;
// return the number of blocks of the first. Each in a file of its own (launch.cuh).
int launch_upsampled_float(const CudaTask& task, void* stream);
int launch_upsampled_double(const CudaTask& task, void* stream);
int launch_upsampled_half(const CudaTask& task, void* stream);
int launch_upsampled_bfloat16(const CudaTask& task, void* stream);

inline int launch_upsampled(const CudaTask& task, void* stream) {
  switch (task.prediction.dtype) {
    case DType::kFloat32:
      return launch_upsampled_float(task, stream);
    case DType::kFloat64:
      return launch_upsampled_double(task, stream);
    case DType::kFloat16:
      return launch_upsampled_half(task, stream);
    default:
      return launch_upsampled_bfloat16(task, stream);
  }
}

}  // namespace mtl
