// Kernels with one planted defect each, which the harness must find, and sound ones that it must
// not accuse: `defects NAME sound|defective ORDER SEED POISON` prints the result in hexadecimal.
// Exit status: 0, or 3 where the harness ended the launch.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "common/cuda/launch.h"
#include "simt/settings.h"

namespace {

constexpr int kThreads = 64;

// Each kernel gets y [256], zeros, and x [256], x[i] = i.
using Kernel = void (*)(const float* x, float* y);

// --- shared memory and barriers ---

template <bool kSound>
__global__ void barrier(const float* x, float* y) {
  MTL_SHARED(float, s, kThreads);
  s[threadIdx.x] = x[threadIdx.x];
  if (kSound) __syncthreads();
  y[threadIdx.x] = s[kThreads - 1 - threadIdx.x];
}

// The barrier at the end of a round of a loop: fast threads overwrite what slow ones still read.
template <bool kSound>
__global__ void barrier_in_loop(const float* x, float* y) {
  MTL_SHARED(float, s, kThreads);
  float sum = 0.0f;
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = x[threadIdx.x] + round;
    __syncthreads();
    sum += s[kThreads - 1 - threadIdx.x];
    if (kSound) __syncthreads();
  }
  y[threadIdx.x] = sum;
}

template <bool kSound>
__global__ void warp_barrier(const float* x, float* y) {
  MTL_SHARED(float, s, kThreads);
  s[threadIdx.x] = x[threadIdx.x];
  if (kSound) __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 1];
}

template <bool kSound>
__global__ void cleared_accumulator(const float*, float* y) {
  MTL_SHARED(unsigned, s, 8);
  if (kSound && threadIdx.x < 8) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s[threadIdx.x % 8], 1u);
  __syncthreads();
  if (threadIdx.x < 8) y[threadIdx.x] = static_cast<float>(s[threadIdx.x]);
}

template <bool kSound>
__global__ void atomic_in_shared(const float*, float* y) {
  MTL_SHARED(unsigned, s, 1);
  if (threadIdx.x == 0) s[0] = 0;
  __syncthreads();
  if (kSound) {
    atomicAdd(&s[0], 1u);
  } else {
    s[0] += 1;
  }
  __syncthreads();
  if (threadIdx.x == 0) y[0] = static_cast<float>(s[0]);
}

template <int kBeyond>
__global__ void shared_write(const float* x, float* y) {
  MTL_SHARED(float, s, kThreads);
  s[threadIdx.x] = 0.0f;
  __syncthreads();
  s[threadIdx.x + kBeyond] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}

template <int kBeyond>
__global__ void shared_read(const float* x, float* y) {
  MTL_SHARED(float, s, kThreads);
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = 0.0f * s[threadIdx.x + kBeyond];
}

template <int kBeyond>
__global__ void dynamic_shared_write(const float* x, float* y) {
  float* s = mtl::dynamic_shared<float>();
  s[threadIdx.x + kBeyond] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}

template <bool kSound>
__global__ void uniform_barrier(const float* x, float* y) {
  if (!kSound && threadIdx.x >= 40) return;
  __syncthreads();
  y[threadIdx.x] = x[threadIdx.x];
}

template <bool kSound>
__global__ void one_barrier(const float* x, float* y) {
  if (kSound || threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = x[threadIdx.x];
}

// --- warps ---

template <bool kSound>
__global__ void mask_of_all(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (kSound || threadIdx.x < 40) value = __shfl_xor_sync(0xffffffffu, value, 1);
  y[threadIdx.x] = value;
}

template <bool kSound>
__global__ void mask_of_half(const float* x, float* y) {
  const unsigned mask = kSound || threadIdx.x % 32 < 16 ? 0xffffffffu : 0xffff0000u;
  y[threadIdx.x] = __shfl_down_sync(mask, x[threadIdx.x], 1);
}

// Reads from a lane that the mask does not name: any value may come.
template <bool kSound>
__global__ void source_in_mask(const float* x, float* y) {
  float value = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) value = __shfl_sync(0x0000ffffu, value, kSound ? 5 : 20);
  y[threadIdx.x] = value;
}

// Waits for what nobody does.
template <bool kSound>
__global__ void spinning(const float* x, float* y) {
  MTL_SHARED(unsigned, turn, 1);
  if (threadIdx.x == 0) turn[0] = 0;
  __syncthreads();
  if (threadIdx.x > 0) {
    while (atomicAdd(&turn[0], 0u) == 0) {
    }
  } else if (kSound) {
    atomicExch(&turn[0], 1u);
  }
  y[threadIdx.x] = x[threadIdx.x];
}

template <int kFloats>
__global__ void shared_size(const float* x, float* y) {
  MTL_SHARED(float, s, kFloats);
  s[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = s[threadIdx.x];
}

// --- global memory ---

template <int kBeyond>
__global__ void global_write(const float* x, float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i + kBeyond] = x[i];
}

template <int kBeyond>
__global__ void global_read(const float* x, float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = 0.0f * x[i + kBeyond];
}

template <int kBeyond>
__global__ void vector_load(const float* x, float* y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < 32) y[i] = reinterpret_cast<const float4*>(x + 4 * i + kBeyond)->x;
}

template <bool kSound>
__global__ void atomic_in_global(const float*, float* y) {
  if (kSound) {
    atomicAdd(y, 1.0f);
  } else {
    *y += 1.0f;
  }
}

// The last block adds up what the others have written.
template <bool kSound>
__global__ void last_block(const float* x, float* y) {
  MTL_SHARED(float, last, 1);
  if (threadIdx.x == 0) {
    y[blockIdx.x] = x[blockIdx.x];
    if (kSound) __threadfence();
    last[0] = atomicAdd(&y[8], 1.0f) == gridDim.x - 1;
    if (kSound) __threadfence();
  }
  __syncthreads();
  if (last[0] != 0.0f && threadIdx.x == 0) {
    for (unsigned i = 0; i < gridDim.x; ++i) y[9] += y[i];
  }
}

// Reads what another block writes in the same launch.
template <bool kSound>
__global__ void blocks_apart(const float* x, float* y) {
  const unsigned other = kSound ? blockIdx.x : (blockIdx.x + 1) % gridDim.x;
  if (threadIdx.x == 0) y[blockIdx.x] = x[blockIdx.x] + 1.0f;
  __syncthreads();
  if (threadIdx.x == 0) y[16 + blockIdx.x] = y[other];
}

// Two blocks write the same value to one place: no order of blocks shows it.
template <bool kSound>
__global__ void silent_race(const float*, float* y) {
  if (threadIdx.x == 0 && (!kSound || blockIdx.x == 0)) y[0] = 1.0f;
}

template <bool kSound>
__global__ void sum_in_any_order(const float* x, float* y) {
  const float value = 1.0f / (1.0f + x[blockIdx.x * blockDim.x + threadIdx.x]);
  atomicAdd(y, kSound ? rintf(1024.0f * value) : value);
}

// Run in a grid of more than 2^31 threads, of which the last block alone runs.
template <bool kSound>
__global__ void wide_index(const float* x, float* y) {
  using Index = std::conditional_t<kSound, int64_t, int>;
  const Index i = static_cast<Index>(blockIdx.x) * static_cast<Index>(blockDim.x);
  y[threadIdx.x] = i < 0 ? -1.0f : x[threadIdx.x];
}

struct Case {
  const char* name;
  Kernel sound, defective;
  unsigned blocks;
};

const Case kCases[] = {
    {"barrier", barrier<true>, barrier<false>, 1},
    {"barrier_in_loop", barrier_in_loop<true>, barrier_in_loop<false>, 1},
    {"warp_barrier", warp_barrier<true>, warp_barrier<false>, 1},
    {"cleared_accumulator", cleared_accumulator<true>, cleared_accumulator<false>, 1},
    {"atomic_in_shared", atomic_in_shared<true>, atomic_in_shared<false>, 1},
    {"shared_write", shared_write<0>, shared_write<1>, 1},
    {"shared_read", shared_read<0>, shared_read<1>, 1},
    {"dynamic_shared_write", dynamic_shared_write<0>, dynamic_shared_write<1>, 1},
    {"uniform_barrier", uniform_barrier<true>, uniform_barrier<false>, 1},
    {"one_barrier", one_barrier<true>, one_barrier<false>, 1},
    {"mask_of_all", mask_of_all<true>, mask_of_all<false>, 1},
    {"mask_of_half", mask_of_half<true>, mask_of_half<false>, 1},
    {"source_in_mask", source_in_mask<true>, source_in_mask<false>, 1},
    {"spinning", spinning<true>, spinning<false>, 1},
    {"too_much_shared", shared_size<kThreads>, shared_size<20000>, 1},
    {"global_write", global_write<0>, global_write<1>, 4},
    {"global_read", global_read<0>, global_read<1>, 4},
    {"vector_load", vector_load<0>, vector_load<1>, 1},
    {"atomic_in_global", atomic_in_global<true>, atomic_in_global<false>, 4},
    {"last_block", last_block<true>, last_block<false>, 4},
    {"blocks_apart", blocks_apart<true>, blocks_apart<false>, 4},
    {"silent_race", silent_race<true>, silent_race<false>, 4},
    {"sum_in_any_order", sum_in_any_order<true>, sum_in_any_order<false>, 4},
    {"wide_index", wide_index<true>, wide_index<false>, (1u << 25) + 1},
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) return 2;
  const bool sound = std::string(arguments[2]) == "sound";
  simt::settings.order = static_cast<simt::Order>(std::atoi(arguments[3]));
  simt::settings.seed = std::strtoull(arguments[4], nullptr, 10);
  simt::settings.poison = static_cast<unsigned char>(std::atoi(arguments[5]));
  for (const Case& c : kCases) {
    simt::settings.last_blocks = c.blocks > 4 ? 1 : 0;
    if (std::strcmp(c.name, arguments[1]) != 0) continue;
    std::vector<float> x(256), y(256);
    for (int i = 0; i < 256; ++i) x[i] = static_cast<float>(i);
    try {
      mtl::launch(sound ? c.sound : c.defective, c.blocks, kThreads, kThreads * sizeof(float),
                  nullptr, x.data(), y.data());
    } catch (const simt::Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 3;
    }
    for (float value : y) {
      unsigned bits;
      std::memcpy(&bits, &value, sizeof bits);
      std::printf("%08x", bits);
    }
    return 0;
  }
  return 2;
}
