#include "loss/cuda/upsampled/launch.cuh"

namespace mtl {

int launch_upsampled_bfloat16(const CudaTask& task, void* stream) {
  return upsampled::launch_all<__nv_bfloat16>(task, stream);
}

}  // namespace mtl
