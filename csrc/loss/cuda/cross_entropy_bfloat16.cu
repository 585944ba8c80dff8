#include "loss/cuda/cross_entropy_launch.cuh"

namespace mtl {

int launch_cross_entropy_bfloat16(const CudaTask& task, void* stream) {
  return cross_entropy::launch_fastest<__nv_bfloat16>(task, stream);
}

}  // namespace mtl
