// The sample kernels' interface. Pointers are the device's.
#pragma once

#include <cstdint>

namespace sample {

// total [1] = sum of x [n], n > 0. scratch: 4097 floats.
void launch_sum(const float* x, int64_t n, float* scratch, float* total, void* stream);
void launch_scale(const float* x, float factor, float* y, int64_t n, void* stream);
// counts [bins] must be 0 before; n > 0.
void launch_histogram(const uint8_t* x, int64_t n, unsigned* counts, int bins, void* stream);

}  // namespace sample
