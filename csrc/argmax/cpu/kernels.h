// The CPU kernel of argmax_upsampled: one function per instruction set.
#pragma once

#include <cstdint>

#include "argmax/argmax_upsampled.h"

namespace mtl {

// Rows begin <= y < end of one image of the results.
struct ArgmaxRows {
  int64_t image, begin, end;
};

// `scratch`, aligned to 64 bytes, has room for upsampled_workspace() elements of float, or of
// double for float64 logits (upsample/memory.h).
using ArgmaxKernel = void (*)(const ArgmaxTask&, const ArgmaxRows&, void* scratch);

}  // namespace mtl
