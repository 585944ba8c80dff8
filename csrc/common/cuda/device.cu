// Runs one small kernel on each device: whether this build holds code for it is otherwise found
// out at the first loss.
#include <cuda_runtime.h>

#include "common/cuda/device.h"

namespace mtl {
namespace {

constexpr int kThreads = 32;

// out [kThreads]: out[i] = i * i.
__global__ void squares(int* __restrict__ out) {
  const int i = static_cast<int>(threadIdx.x);
  out[i] = i * i;
}

cudaError_t try_kernel(bool* right) {
  int* out = nullptr;
  int host[kThreads] = {};
  cudaError_t error = cudaMalloc(&out, sizeof host);
  if (error != cudaSuccess) return error;
  squares<<<1, kThreads>>>(out);
  error = cudaGetLastError();
  if (error == cudaSuccess) error = cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  cudaFree(out);
  *right = true;
  for (int i = 0; i < kThreads; ++i) *right = *right && host[i] == i * i;
  return error;
}

CudaDevice examine(int index) {
  CudaDevice device;
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDeviceProperties(&properties, index);
  if (error == cudaSuccess) error = cudaSetDevice(index);
  if (error != cudaSuccess) {
    device.fault = cudaGetErrorString(error);
    return device;
  }
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  bool right = false;
  error = try_kernel(&right);
  if (error != cudaSuccess) {
    device.fault = cudaGetErrorString(error);
  } else if (!right) {
    device.fault = "a test kernel gave a wrong result";
  }
  return device;
}

}  // namespace

CudaReport cuda_report() {
  CudaReport report;
  int count = 0, current = 0;
  cudaDriverGetVersion(&report.driver);
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    report.fault = cudaGetErrorString(error);
    return report;
  }
  if (count == 0) report.fault = "the driver shows no device";
  cudaGetDevice(&current);
  for (int i = 0; i < count; ++i) report.devices.push_back(examine(i));
  cudaSetDevice(current);
  return report;
}

}  // namespace mtl
