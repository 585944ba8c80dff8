#include "loss/cuda/upsampled/launch.cuh"

namespace mtl {

int launch_upsampled_double(const CudaTask& task, void* stream) {
  return upsampled::launch_all<double>(task, stream);
}

}  // namespace mtl
