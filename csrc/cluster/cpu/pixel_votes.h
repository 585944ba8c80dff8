// Votes of the pixels of one image, and the pixels of each class.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "common/tensor_view.h"

namespace mtl {

struct Place {
  double x, y;

  bool is_finite() const { return std::isfinite(x) && std::isfinite(y); }
};

class PixelVotes {
 public:
  // `offsets` is [B,2,H,W] float32 or float64.
  PixelVotes(const TensorView& offsets, int64_t image)
      : offsets_(offsets), base_(offsets.offset(image, 0, 0)) {}

  // `pixel` counts in row-major order.
  Place operator()(int64_t pixel) const {
    const int64_t width = offsets_.width(), row = pixel / width, column = pixel - row * width;
    const int64_t at = base_ + row * offsets_.strides[2] + column * offsets_.strides[3];
    return {static_cast<double>(column) + read(at),
            static_cast<double>(row) + read(at + offsets_.strides[1])};
  }

 private:
  double read(int64_t at) const {
    if (offsets_.dtype == DType::kFloat32) return static_cast<const float*>(offsets_.data)[at];
    return static_cast<const double*>(offsets_.data)[at];
  }

  const TensorView offsets_;
  const int64_t base_;
};

// Which group the pixels of a class form; -1: none.
using GroupOfClass = std::vector<int16_t>;

template <class Label>
std::vector<std::vector<int32_t>> group_pixels(const TensorView& semantic, int64_t image,
                                               const GroupOfClass& group_of_class, int64_t groups) {
  std::vector<std::vector<int32_t>> pixels(groups);
  const Label* labels = static_cast<const Label*>(semantic.data);
  int32_t pixel = 0;
  for (int64_t y = 0; y < semantic.height(); ++y) {
    for (int64_t x = 0; x < semantic.width(); ++x, ++pixel) {
      const auto label = static_cast<int64_t>(labels[semantic.offset(image, y, x)]);
      if (label < 0 || label >= static_cast<int64_t>(group_of_class.size())) continue;
      const int16_t group = group_of_class[label];
      if (group >= 0) pixels[group].push_back(pixel);
    }
  }
  return pixels;
}

// Per group its pixels in row-major order.
inline std::vector<std::vector<int32_t>> group_pixels(const TensorView& semantic, int64_t image,
                                                      const GroupOfClass& group_of_class,
                                                      int64_t groups) {
  switch (semantic.dtype) {
    case DType::kUInt8:
      return group_pixels<uint8_t>(semantic, image, group_of_class, groups);
    case DType::kInt16:
      return group_pixels<int16_t>(semantic, image, group_of_class, groups);
    case DType::kInt32:
      return group_pixels<int32_t>(semantic, image, group_of_class, groups);
    case DType::kInt64:
      return group_pixels<int64_t>(semantic, image, group_of_class, groups);
    default:
      throw std::invalid_argument("semantic: an integer tensor holds classes");
  }
}

}  // namespace mtl
