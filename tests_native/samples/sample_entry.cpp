// The sample launchers for ctypes.
#include "sample.h"
#include "simt/entry.h"

SIMT_ENTRY sample_sum(const float* x, int64_t n, float* scratch, float* total) {
  return simt::entry([&] { sample::launch_sum(x, n, scratch, total, nullptr); });
}

SIMT_ENTRY sample_scale(const float* x, double factor, float* y, int64_t n) {
  return simt::entry([&] { sample::launch_scale(x, static_cast<float>(factor), y, n, nullptr); });
}

SIMT_ENTRY sample_histogram(const uint8_t* x, int64_t n, unsigned* counts, int64_t bins) {
  return simt::entry(
      [&] { sample::launch_histogram(x, n, counts, static_cast<int>(bins), nullptr); });
}
