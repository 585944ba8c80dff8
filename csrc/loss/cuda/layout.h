// Which tensors can be read in loads of 16 bytes.
#pragma once

#include <algorithm>

#include "common/tensor_view.h"

namespace mtl {

// Whether the pixels of every channel of every image are one run of memory, in which each `count`
// pixels may be loaded together: their bytes are aligned to their number, or to 16.
inline bool is_aligned_run(const TensorView& view, int64_t count) {
  const int64_t bytes = element_bytes(view.dtype);
  const int64_t alignment = std::min<int64_t>(16, count * bytes);
  const auto aligned = [&](int d) {
    return view.sizes[d] <= 1 || view.strides[d] * bytes % alignment == 0;
  };
  return view.strides[3] == 1 && view.rows_join() && aligned(0) && aligned(1) &&
         reinterpret_cast<uintptr_t>(view.data) % alignment == 0;
}

// Whether all pixels of a map of one channel are one run of memory.
inline bool is_one_run(const TensorView& map) {
  return map.channels() == 1 && map.strides[3] == 1 && map.rows_join() &&
         (map.batch() <= 1 || map.strides[0] == map.pixels());
}

// Such a map as a single row.
inline TensorView as_one_row(TensorView map) {
  map.sizes[3] = map.batch() * map.pixels();
  map.sizes[0] = map.sizes[2] = 1;
  return map;
}

}  // namespace mtl
