// CUDA's language and its device functions for g++: what csrc/common/cuda/launch.h includes in the
// place of CUDA's own headers when MTL_SIMT is defined. Vector types, float16 and bfloat16 are
// CUDA's; they have host versions of their own.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <utility>

#include "simt/atomics.h"
#include "simt/collectives.h"
#include "simt/intrinsics.h"
#include "simt/scheduler.h"

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __shared__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ USE_MTL_SHARED_INSTEAD
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __grid_constant__

using simt::blockDim;
using simt::blockIdx;
using simt::gridDim;
using simt::threadIdx;
constexpr int warpSize = 32;

namespace simt {

// Takes the place of the template of this name: the arguments keep their types.
template <class... Parameters>
cudaError_t launch_kernel(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                          Parameters... arguments) {
  const auto call = [&] { kernel(arguments...); };
  return run_grid(
      reinterpret_cast<const void*>(kernel),
      [](void* closure) { (*static_cast<decltype(call)*>(closure))(); },
      const_cast<void*>(static_cast<const void*>(&call)), config->gridDim, config->blockDim,
      config->dynamicSmemBytes);
}

}  // namespace simt
#define cudaLaunchKernelEx ::simt::launch_kernel
