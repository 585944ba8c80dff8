// Threads for CPU kernels: a pool of its own, so that the core depends on no OpenMP runtime.
#pragma once

#include <cstdint>
#include <functional>

namespace mtl {

// Calls body(0) ... body(count - 1), each once, on up to `threads` threads (the caller's among
// them). Which thread runs which index is open: bodies write to places of their own. The first
// exception of a body is thrown here, after all threads have stopped.
//
// Safe after fork(): the child starts a pool of its own (GNU OpenMP would hang there). When
// another caller has the pool, the work runs on the calling thread alone.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& body);

}  // namespace mtl
