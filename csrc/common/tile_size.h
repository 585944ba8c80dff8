// How many pixels a tile holds (tile.h).
#pragma once

#include <cstdint>

#include "common/simd.h"

namespace mtl {

constexpr int kVector = 16;              // tiles are padded to a multiple of it
constexpr int kMaxTilePixels = 256;      // long runs for few channels ...
constexpr int64_t kTileElements = 6144;  // ... and 24 KiB of float, half a first-level cache

MTL_INLINE int tile_pixels(int64_t channels) {
  const int64_t fitting = kTileElements / (channels < 1 ? 1 : channels) / kVector * kVector;
  return static_cast<int>(fitting < kVector          ? kVector
                          : fitting > kMaxTilePixels ? kMaxTilePixels
                                                     : fitting);
}

}  // namespace mtl
