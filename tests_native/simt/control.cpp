// How Python sets the harness.
#include "simt/entry.h"
#include "simt/settings.h"

SIMT_ENTRY simt_configure(int order, uint64_t seed, int poison, int workers, int processors,
                          int64_t last_blocks) {
  return simt::entry([&] {
    if (workers < 1 || workers > simt::kMaxWorkers) throw simt::Error("workers: 1 to 16");
    simt::settings = {static_cast<simt::Order>(order),
                      seed,
                      static_cast<unsigned char>(poison),
                      workers,
                      processors,
                      last_blocks};
  });
}

extern "C" int64_t simt_launches() {
  return simt::launches;
}
