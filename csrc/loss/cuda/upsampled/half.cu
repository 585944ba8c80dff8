#include "loss/cuda/upsampled/launch.cuh"

namespace mtl {

int launch_upsampled_half(const CudaTask& task, void* stream) {
  return upsampled::launch_all<__half>(task, stream);
}

}  // namespace mtl
