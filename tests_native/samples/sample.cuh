// Small kernels of the usual kinds: what the harness is tried on, and how a kernel file looks.
#pragma once

#include "common/cuda/launch.h"

namespace sample {

// The sum of a block's values, in thread 0. All threads must call it.
template <int kThreads>
__device__ __forceinline__ float block_sum(float value) {
  constexpr int kWarps = kThreads / 32;
  MTL_SHARED(float, warp_sums, kWarps);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, lanes);
  }
  if (lane == 0) warp_sums[warp] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    value = 0.0f;
    for (int i = 0; i < kWarps; ++i) value += warp_sums[i];
  }
  return value;
}

// total [1] = sum of x [n]; partial [gridDim.x]; tickets [1], 0 before and after. The block that
// comes last adds the partial sums in their order, so that the order of the blocks does not count.
template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    sum(const float* __restrict__ x, int64_t n, float* partial, unsigned* tickets, float* total) {
  MTL_SHARED(unsigned, ticket, 1);
  float value = 0.0f;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    value += __ldg(x + i);
  }
  value = block_sum<kThreads>(value);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = value;
    __threadfence();
    ticket[0] = atomicAdd(tickets, 1u);
    __threadfence();
  }
  __syncthreads();
  if (threadIdx.x != 0 || ticket[0] != gridDim.x - 1) return;
  value = 0.0f;
  for (unsigned i = 0; i < gridDim.x; ++i) value += partial[i];
  *total = value;
  *tickets = 0;
}

// y [n] = factor * x [n], four values at a time. x and y start at multiples of 16 bytes.
static __global__ void __launch_bounds__(256)
    scale(const float* __restrict__ x, float factor, float* __restrict__ y, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const float4* x4 = reinterpret_cast<const float4*>(x);
  float4* y4 = reinterpret_cast<float4*>(y);
  for (int64_t i = first; i < n / 4; i += stride) {
    const float4 v = __ldg(x4 + i);
    y4[i] = make_float4(factor * v.x, factor * v.y, factor * v.z, factor * v.w);
  }
  for (int64_t i = n / 4 * 4 + first; i < n; i += stride) y[i] = factor * x[i];
}

// counts [bins] += how often each value occurs in x [n]. Dynamic shared memory: bins unsigneds.
static __global__ void __launch_bounds__(256)
    histogram(const uint8_t* __restrict__ x, int64_t n, unsigned* counts, int bins) {
  unsigned* own = mtl::dynamic_shared<unsigned>();
  for (int i = threadIdx.x; i < bins; i += blockDim.x) own[i] = 0;
  __syncthreads();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    if (x[i] < bins) atomicAdd(&own[x[i]], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < bins; i += blockDim.x) {
    if (own[i] > 0) atomicAdd(&counts[i], own[i]);
  }
}

}  // namespace sample
