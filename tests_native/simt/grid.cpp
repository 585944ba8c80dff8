// A launch: refuses what CUDA refuses, and runs the blocks in the order of the settings.
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "simt/block.h"
#include "simt/sanitizers.h"

namespace simt {

Settings settings;
int64_t launches = 0;
const void* kernels[kRemembered];

namespace {

template <class T>
T* zeroed(size_t count) {
  void* memory =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<T*>(memory);
}

Block* block_of_worker(int worker) {
  static Block* blocks[kMaxWorkers];
  Block*& block = blocks[worker];
  if (!block) {
    block = zeroed<Block>(1);
    for (Thread*& cast : block->casts) cast = zeroed<Thread>(kMaxThreads);
  }
  return block;
}

bool refused(dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  return threads == 0 || threads > kMaxThreads || block.z > 64 || grid.x == 0 || grid.y == 0 ||
         grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 ||
         shared_bytes > kMaxSharedBytes;
}

// The places of the blocks that run, [first, total), in the order of the settings.
class BlockOrder {
 public:
  BlockOrder(uint64_t first, uint64_t total) : first_(first), count_(total - first) {
    const auto common_divisor = [](uint64_t a, uint64_t b) {
      while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
      }
      return a;
    };
    if (settings.order != Order::kRandom) return;
    // A stride without a common divisor visits each block once.
    stride_ = settings.seed * 0x9e3779b97f4a7c15u % count_ + 1;
    while (common_divisor(stride_, count_) != 1) ++stride_;
  }
  uint64_t count() const { return count_; }
  uint64_t operator[](uint64_t i) const {
    if (settings.order == Order::kReverse) return first_ + count_ - 1 - i;
    const auto product = static_cast<unsigned __int128>(i + settings.seed % count_) * stride_;
    return first_ +
           static_cast<uint64_t>((settings.order == Order::kRandom ? product : i) % count_);
  }

 private:
  uint64_t first_, count_, stride_ = 1;
};

struct Launch {
  Grid grid;
  BlockOrder order;
  std::atomic<uint64_t> next{0};
  std::atomic<Block*> failed{nullptr};

  void work(int worker) {
    Place* outer = place;
    Block* block = block_of_worker(worker);
    adopt_thread(&block->home);
    for (uint64_t i; !failed && (i = next++) < order.count();) {
      const uint64_t rank = order[i];
      const uint3 index = {static_cast<unsigned>(rank % grid.size.x),
                           static_cast<unsigned>(rank / grid.size.x % grid.size.y),
                           static_cast<unsigned>(rank / grid.size.x / grid.size.y)};
      if (!block->run(grid, index, i)) failed = block;
    }
    tsan_acquire(&end_tag);
    place = outer;
  }
};

}  // namespace

cudaError_t run_grid(const void* kernel, void (*body)(void*), void* arguments, dim3 grid,
                     dim3 block, size_t shared_bytes) {
  if (refused(grid, block, shared_bytes)) return cudaErrorInvalidConfiguration;
  kernels[launches++ % kRemembered] = kernel;
  const uint64_t total = uint64_t{grid.x} * grid.y * grid.z;
  const uint64_t wanted = static_cast<uint64_t>(settings.last_blocks);
  const uint64_t first = wanted > 0 && wanted < total ? total - wanted : 0;
  Launch launch{{body, arguments, grid, block, shared_bytes}, BlockOrder(first, total)};
  std::thread workers[kMaxWorkers];
  for (int i = 1; i < settings.workers; ++i) {
    workers[i] = std::thread([&launch, i] { launch.work(i); });
  }
  launch.work(0);
  for (int i = 1; i < settings.workers; ++i) workers[i].join();
  if (launch.failed) throw Error(launch.failed.load()->message);
  return cudaSuccess;
}

}  // namespace simt
