// Launchers of the sample kernels.
#include <algorithm>

#include "sample.cuh"
#include "sample.h"

namespace sample {
namespace {

constexpr int kThreads = 128, kMaxBlocks = 4096;

unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>(std::min<int64_t>((threads + kThreads - 1) / kThreads, kMaxBlocks));
}

}  // namespace

void launch_sum(const float* x, int64_t n, float* scratch, float* total, void* stream) {
  float* partial = scratch + 1;
  unsigned* tickets = reinterpret_cast<unsigned*>(scratch);
  mtl::check_cuda(cudaMemsetAsync(tickets, 0, sizeof *tickets, static_cast<cudaStream_t>(stream)),
                  "clearing the tickets");
  mtl::launch(sum<kThreads>, blocks_for(n), kThreads, 0, stream, x, n, partial, tickets, total);
}

void launch_scale(const float* x, float factor, float* y, int64_t n, void* stream) {
  if (n == 0) return;
  mtl::launch(scale, blocks_for((n + 3) / 4), kThreads, 0, stream, x, factor, y, n);
}

void launch_histogram(const uint8_t* x, int64_t n, unsigned* counts, int bins, void* stream) {
  mtl::launch(histogram, blocks_for(n), kThreads, bins * sizeof(unsigned), stream, x, n, counts,
              bins);
}

}  // namespace sample
