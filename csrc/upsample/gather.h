// Columns of any ratio, also between aligned corners and for predictions wider than the target:
// each target column looks its two predictions up.
#pragma once

#include "upsample/cell_rows.h"

namespace mtl {
inline namespace MTL_SIMD {

template <class Acc, class Pixels>
class GatherColumns {
 public:
  GatherColumns(const Upsampling& grid, int64_t image, Acc* memory, Pixels& pixels)
      : image_(image),
        channels_(grid.prediction.channels()),
        width_(grid.width),
        row_stride_(row_stride(grid.prediction.width())),
        stride_(tile_pixels(channels_)),
        tile_(memory),
        mixed_(memory + channels_ * stride_),
        sums_(mixed_ + channels_ * row_stride_),
        low_weight_(sums_ + channels_ * row_stride_),
        high_weight_(low_weight_ + width_),
        low_(reinterpret_cast<int32_t*>(high_weight_ + width_)),
        high_(low_ + width_),
        pixels_(pixels) {
    const BilinearAxis columns(grid.prediction.width(), width_, grid.align_corners);
    for (int64_t x = 0; x < width_; ++x) {
      const BilinearSample at = columns.at(x);
      low_[x] = static_cast<int32_t>(at.low + kMargin);
      high_[x] = static_cast<int32_t>(at.high + kMargin);
      low_weight_[x] = static_cast<Acc>(at.low_weight);
      high_weight_[x] = static_cast<Acc>(at.high_weight);
    }
  }

  void cell_row(const BilinearAxis& rows, const CellRow& row, const Acc* low, const Acc* high,
                Acc* low_gradient, Acc* high_gradient) {
    for (int64_t y = row.begin; y < row.end; ++y) {
      const BilinearSample at = rows.at(y);
      mix_rows(at, low, high);
      if (low_gradient) clear(sums_);
      for (int64_t x = 0; x < width_; x += stride_) {
        const int count = static_cast<int>(width_ - x < stride_ ? width_ - x : stride_);
        pixels_.place({image_, y, x, count}, 0);
        interpolate(x, count);
        pixels_.evaluate((count + kVector - 1) / kVector * kVector, tile_);
        if (low_gradient) sum_columns(x, count);
      }
      if (low_gradient) {
        add(at.low_weight, low_gradient);
        add(at.high_weight, high_gradient);
      }
    }
  }

 private:
  int64_t row_elements() const { return channels_ * row_stride_; }

  void clear(Acc* MTL_RESTRICT row) const {
    for (int64_t i = 0; i < row_elements(); ++i) row[i] = Acc(0);
  }

  void mix_rows(const BilinearSample& at, const Acc* MTL_RESTRICT low,
                const Acc* MTL_RESTRICT high) {
    const Acc a = static_cast<Acc>(at.low_weight), b = static_cast<Acc>(at.high_weight);
    Acc* MTL_RESTRICT mixed = mixed_;
#pragma omp simd
    for (int64_t i = 0; i < row_elements(); ++i) mixed[i] = a * low[i] + b * high[i];
  }

  void interpolate(int64_t first, int count) {
    const int32_t* MTL_RESTRICT low = low_ + first;
    const int32_t* MTL_RESTRICT high = high_ + first;
    const Acc* MTL_RESTRICT a = low_weight_ + first;
    const Acc* MTL_RESTRICT b = high_weight_ + first;
    for (int64_t c = 0; c < channels_; ++c) {
      const Acc* MTL_RESTRICT row = mixed_ + c * row_stride_;
      Acc* MTL_RESTRICT f = tile_ + c * stride_;
#pragma omp simd
      for (int i = 0; i < count; ++i) f[i] = a[i] * row[low[i]] + b[i] * row[high[i]];
      for (int i = count; i % kVector != 0; ++i) f[i] = Acc(0);
    }
  }

  // Neighbours share predictions: each run of them is summed before it is added.
  void sum_columns(int64_t first, int count) {
    const int32_t* low = low_ + first;
    const int32_t* high = high_ + first;
    const Acc* a = low_weight_ + first;
    const Acc* b = high_weight_ + first;
    for (int64_t c = 0; c < channels_; ++c) {
      const Acc* gradient = tile_ + c * stride_;
      Acc* sums = sums_ + c * row_stride_;
      for (int i = 0; i < count;) {
        const int begin = i;
        Acc at_low = 0, at_high = 0;
        for (; i < count && low[i] == low[begin] && high[i] == high[begin]; ++i) {
          at_low += a[i] * gradient[i];
          at_high += b[i] * gradient[i];
        }
        sums[low[begin]] += at_low;
        sums[high[begin]] += at_high;
      }
    }
  }

  void add(double weight, Acc* MTL_RESTRICT gradient) const {
    const Acc factor = static_cast<Acc>(weight);
    const Acc* MTL_RESTRICT sums = sums_;
#pragma omp simd
    for (int64_t i = 0; i < row_elements(); ++i) gradient[i] += factor * sums[i];
  }

  int64_t image_, channels_, width_, row_stride_;
  int stride_;                  // of the tile
  Acc *tile_, *mixed_, *sums_;  // rows: the two of the prediction mixed; their gradient
  Acc *low_weight_, *high_weight_;
  int32_t *low_, *high_;  // places in a row, by column of the target
  Pixels& pixels_;
};

}  // namespace MTL_SIMD
}  // namespace mtl
