#include "loss/cuda/cross_entropy_launch.cuh"

namespace mtl {

int launch_cross_entropy_double(const CudaTask& task, void* stream) {
  return cross_entropy::launch_general<double>(task, stream);
}

}  // namespace mtl
