// How Python sets the harness, and what it asks it.
#include <dlfcn.h>

#include "simt/entry.h"
#include "simt/settings.h"

SIMT_ENTRY simt_configure(int64_t order, int64_t seed, int64_t poison, int64_t workers,
                          int64_t processors, int64_t last_blocks) {
  return simt::entry([&] {
    if (workers < 1 || workers > simt::kMaxWorkers) throw simt::Error("workers: 1 to 16");
    simt::settings.order = static_cast<simt::Order>(order);
    simt::settings.seed = static_cast<uint64_t>(seed);
    simt::settings.poison = static_cast<unsigned char>(poison);
    simt::settings.workers = static_cast<int>(workers);
    simt::settings.processors = static_cast<int>(processors);
    simt::settings.last_blocks = last_blocks;
  });
}

extern "C" int64_t simt_launches() {
  return simt::launches;
}

// The mangled name of the kernel that a launch, one of the latest kRemembered, was of.
extern "C" const char* simt_kernel(int64_t launch) {
  Dl_info info = {};
  dladdr(simt::kernels[launch % simt::kRemembered], &info);
  return info.dli_sname;
}
