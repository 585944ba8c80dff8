// The harness as kernels see it. A kernel's thread is a fiber; it runs until it waits for others.
//
// Every function below is called by the running thread of a kernel. What a GPU leaves undefined
// ends the launch with an Error that says where: a barrier that not all threads reach, lanes that
// disagree about a mask, threads that wait forever.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>

namespace simt {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where in the source a collective stands: all threads of one must have come to the same place.
struct Site {
  const char* file;
  int line;
  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// What CUDA calls by these names, of the running thread.
extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;

struct Place {
  unsigned lane, warp;
};
extern __thread Place* place;  // of the running thread

struct BlockVote {
  int any, all, count;
};
BlockVote sync_block(bool predicate, Site site);
void sync_warp(unsigned mask, Site site);

// Collectives of the lanes in `mask`; they order no memory.
unsigned ballot(unsigned mask, bool predicate, Site site);
unsigned match(unsigned mask, unsigned long long value, Site site);  // lanes with an equal value
unsigned long long shuffle(unsigned mask, unsigned long long value, int source_lane, Site site);

// Called by every atomic: where threads may overtake each other, and a spinning one lets go.
void atomic_point();
void memory_fence();

// Memory of the block: poisoned when the block starts, the same for all that call with one key.
void* shared_array(const void* key, const char* name, size_t bytes, size_t alignment,
                   Site site = Site::here());
void* dynamic_shared();

[[noreturn]] void fail(Site site, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Calls body(arguments), which calls the kernel, once per thread of the grid. Returns what CUDA
// returns for a launch that it refuses; throws Error.
cudaError_t run_grid(const void* kernel, void (*body)(void*), void* arguments, dim3 grid,
                     dim3 block, size_t shared_bytes);

}  // namespace simt
