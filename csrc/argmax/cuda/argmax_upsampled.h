// argmax_upsampled on the GPU.
#pragma once

#include "argmax/argmax_upsampled.h"

namespace mtl {

// All pointers of the task are to device memory. Asynchronous on `stream`, without scratch memory;
// can be captured in a graph.
void argmax_upsampled_cuda(const ArgmaxTask& task, void* stream);

}  // namespace mtl
