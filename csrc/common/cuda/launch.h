// What every CUDA file of the core is written against: launches, shared memory, error checks.
//
// The same source compiles with nvcc and, for the tests, with g++ (-DMTL_SIMT, tests_native/simt):
// there each CUDA thread is a fiber on the CPU, so that kernels and launchers run under every
// order of threads and blocks, with poisoned shared memory and under sanitizers. Hence the rules:
//
//  * Kernels and device functions live in <op>/cuda/*.cuh, launchers in <op>/cuda/*.cu. Both
//  include
//    this header first and no other header of CUDA; no torch, no CUB, no cooperative groups, no
//    inline PTX, no __CUDACC__ or __CUDA_ARCH__.
//  * launch(kernel<T>, grid, block, shared_bytes, stream, args...), never <<<>>>. An empty grid is
//    an error, as in CUDA: launchers return before it.
//  * MTL_SHARED(float, sums, 32) inside a kernel or device function, never __shared__; memory whose
//    size the launch gives through dynamic_shared<float>(). Nothing is zero unless the kernel
//    writes it. More than 48 KiB of dynamic memory needs nothing further.
//  * No thread returns before the last barrier or warp collective of its block: threads past the
//    end of the data skip the work, not the barrier. Masks name exactly the lanes that take part.
//  * Shuffles and votes order no memory: __syncwarp() or __syncthreads() does. A value from another
//    block is read behind a __threadfence() on both sides: write, fence, atomic; atomic, fence,
//    read.
//  * Indices of elements are int64_t: `int64_t{blockIdx.x} * blockDim.x + threadIdx.x`.
//  * Interfaces take the stream as void*, so that they need no header of CUDA. Runtime calls go
//    through check_cuda(call, "what was being done").
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#if defined(MTL_SIMT)
#include "simt/cuda.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#if defined(MTL_SIMT)
#define MTL_SHARED(type, name, count)                \
  static const char name##_key = 0;                  \
  type(&name)[count] = *static_cast<type(*)[count]>( \
      ::simt::shared_array(&name##_key, #name, sizeof(type) * (count), alignof(type)))
#else
#define MTL_SHARED(type, name, count) __shared__ type name[count]
#endif

namespace mtl {

// Throws std::runtime_error with `doing` and CUDA's words for the error.
inline void check_cuda(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // a failed launch must not be reported again by the next caller
  throw std::runtime_error(std::string(doing) + ": " + cudaGetErrorString(error));
}

template <class T>
struct AsIs {
  using type = T;
};

// Starts kernel(args...) on `stream` (a cudaStream_t) of the current device. Arguments convert to
// the kernel's parameters.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void* stream,
            typename AsIs<Parameters>::type... args) {
  constexpr size_t kWithoutAsking = 48 * 1024;
  if (shared_bytes > kWithoutAsking) {
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shared_bytes)),
               "asking for shared memory");
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  check_cuda(cudaLaunchKernelEx(&config, kernel, args...), "launching a CUDA kernel");
}

// The shared memory that launch() was asked for, aligned to 16 bytes.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#if defined(MTL_SIMT)
  return static_cast<T*>(::simt::dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char mtl_dynamic_shared[];
  return reinterpret_cast<T*>(mtl_dynamic_shared);
#endif
}

}  // namespace mtl
