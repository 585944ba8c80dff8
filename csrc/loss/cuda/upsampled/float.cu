#include "loss/cuda/upsampled/launch.cuh"

namespace mtl {

int launch_upsampled_float(const CudaTask& task, void* stream) {
  return upsampled::launch_all<float>(task, stream);
}

}  // namespace mtl
