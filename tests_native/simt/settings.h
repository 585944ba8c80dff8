// How kernels are run: for the whole process, set between launches.
#pragma once

#include <cstdint>

namespace simt {

enum class Order : int { kForward = 0, kReverse = 1, kRandom = 2 };

struct Settings {
  Order order = Order::kForward;  // of blocks, and of the threads of a block
  uint64_t seed = 1;              // of the random order
  unsigned char poison = 0xff;    // fills shared memory and what cudaMalloc returns
  int workers = 1;                // threads of the operating system that run blocks
  int processors = 4;             // the multiprocessors that the device claims to have
  int64_t last_blocks = 0;        // n > 0: only the last n blocks of every grid run
};
extern Settings settings;

constexpr int kMaxWorkers = 16;
constexpr size_t kMaxSharedBytes = 64 * 1024;  // of compute capability 7.5, the least supported

extern int64_t launches;  // since the library was loaded
constexpr int kRemembered = 64;
extern const void* kernels[kRemembered];  // launch i was of kernels[i % kRemembered]

}  // namespace simt
