// A tensor as the core sees it: a pointer, an element type, four sizes and four strides.
#pragma once

#include <cstdint>

#include "common/simd.h"

namespace mtl {

enum class DType : int32_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kBFloat16 = 2,
  kFloat64 = 3,
  kUInt8 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 8,
};

MTL_INLINE int64_t element_bytes(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
    case DType::kBool:
      return 1;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kInt16:
      return 2;
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    default:
      return 4;
  }
}

// [B,C,H,W]; a map [B,H,W] has one channel. Strides count elements and may have any value.
// `data == nullptr` says that the tensor is absent.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t sizes[4] = {0, 0, 0, 0};
  int64_t strides[4] = {0, 0, 0, 0};

  MTL_INLINE int64_t batch() const { return sizes[0]; }
  MTL_INLINE int64_t channels() const { return sizes[1]; }
  MTL_INLINE int64_t height() const { return sizes[2]; }
  MTL_INLINE int64_t width() const { return sizes[3]; }
  MTL_INLINE int64_t pixels() const { return sizes[2] * sizes[3]; }

  MTL_INLINE int64_t offset(int64_t b, int64_t y, int64_t x) const {
    return b * strides[0] + y * strides[2] + x * strides[3];
  }

  // Whether the pixels of one image are evenly spaced in row-major order, so that a run of them
  // may cross the end of a row.
  MTL_INLINE bool rows_join() const { return sizes[2] <= 1 || strides[2] == sizes[3] * strides[3]; }
};

}  // namespace mtl
