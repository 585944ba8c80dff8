#include "loss/cuda/cross_entropy_launch.cuh"

namespace mtl {

int launch_cross_entropy_half(const CudaTask& task, void* stream) {
  return cross_entropy::launch_fastest<__half>(task, stream);
}

}  // namespace mtl
