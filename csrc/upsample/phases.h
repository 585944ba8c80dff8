// Columns where each prediction stands for R of the target (2, 4, 8, ...).
//
// The R columns around prediction k are its phases j = 0 .. R-1, x = k R + j. A phase has the same
// weights in every cell: t = (2j+1-R)/(2R) from the centre, so neighbouring cells are the lanes of
// a vector and nothing is gathered or scattered:
//   t < 0:  f = -t P[k-1] + (1+t) P[k]        t > 0:  f = (1-t) P[k] + t P[k+1]
// A tile holds some phases of some cells, [C][phase][cell].
#pragma once

#include "common/lanes.h"
#include "upsample/cell_rows.h"

namespace mtl {
inline namespace MTL_SIMD {

static_assert(kLanes == kVector, "a vector of cells fills a vector of the tile");

template <class Acc, class Pixels>
class PhaseColumns {
 public:
  PhaseColumns(const Upsampling& grid, int64_t image, Acc* memory, Pixels& pixels)
      : image_(image),
        channels_(grid.prediction.channels()),
        width_(grid.prediction.width()),
        ratio_(static_cast<int>(grid.width / width_)),
        row_stride_(row_stride(width_)),
        stride_(tile_pixels(channels_)),
        tile_(memory),
        corners_(memory + channels_ * stride_),
        pixels_(pixels) {}

  void cell_row(const BilinearAxis& rows, const CellRow& row, const Acc* low, const Acc* high,
                Acc* low_gradient, Acc* high_gradient) {
    const int most = ratio_ * kVector < stride_ ? stride_ / (ratio_ * kVector) * kVector : kVector;
    for (int64_t first = 0; first < width_; first += most) {
      const int64_t left = (width_ - first + kVector - 1) / kVector * kVector;
      cells_ = static_cast<int>(left < most ? left : most);
      if (low_gradient) clear_corners();
      for (int64_t y = row.begin; y < row.end; ++y) {
        const BilinearSample at = rows.at(y);
        row_weights_[0] = static_cast<Acc>(at.low_weight);
        row_weights_[1] = static_cast<Acc>(at.high_weight);
        target_row(y, first, low, high, low_gradient != nullptr);
      }
      if (low_gradient) {
        add_corners(corners_, first, low_gradient);
        add_corners(corners_ + 3 * channels_ * cells_, first, high_gradient);
      }
    }
  }

 private:
  // The cells from `first` on of one target row, as many phases at a time as a tile holds.
  void target_row(int64_t y, int64_t first, const Acc* low, const Acc* high, bool gradient) {
    const int most = stride_ / cells_;
    const int count = static_cast<int>(width_ - first < cells_ ? width_ - first : cells_);
    for (int begin = 0, end = 0; begin < ratio_; begin = end) {
      end = begin + most < ratio_ ? begin + most : ratio_;
      for (int j = begin; j < end; ++j) {
        pixels_.place({image_, y, first * ratio_ + j, count, ratio_}, (j - begin) * cells_);
      }
      const Phases weights = phases(begin, end);
      interpolate(weights, low + kMargin + first, high + kMargin + first);
      pixels_.evaluate((end - begin) * cells_, tile_);
      if (gradient) sum_corners(weights);
    }
  }

  // The weights of the tile's phases, and which of them lie left and right of the centres.
  struct Phases {
    int count, left_end, right_begin;
    Acc low_weight[kMaxTilePixels / kVector], high_weight[kMaxTilePixels / kVector];
  };

  Phases phases(int begin, int end) const {
    const auto place = [&](int j) { return (j < begin ? begin : j > end ? end : j) - begin; };
    Phases result = {end - begin, place(ratio_ / 2), place((ratio_ + 1) / 2), {}, {}};
    for (int j = begin; j < end; ++j) {
      const Acc t = static_cast<Acc>(2 * j + 1 - ratio_) / static_cast<Acc>(2 * ratio_);
      result.low_weight[j - begin] = t < Acc(0) ? -t : 1 - t;
      result.high_weight[j - begin] = t < Acc(0) ? 1 + t : t;
    }
    return result;
  }

  void interpolate(const Phases& phases, const Acc* low, const Acc* high) {
    const int cells = cells_;
    for (int64_t c = 0; c < channels_; ++c) {
      const Acc* p0 = low + c * row_stride_;
      const Acc* p1 = high + c * row_stride_;
      for (int k = 0; k < cells; k += kLanes) {
        Lanes<Acc> left, centre, right;
        mix_rows(p0 + k - 1, p1 + k - 1, left);
        mix_rows(p0 + k, p1 + k, centre);
        mix_rows(p0 + k + 1, p1 + k + 1, right);
        Acc* f = tile_ + c * stride_ + k;
        int j = 0;
        for (; j < phases.left_end; ++j, f += cells) {
          store_lanes<Acc>(phases.low_weight[j] * left + phases.high_weight[j] * centre, f);
        }
        for (; j < phases.right_begin; ++j, f += cells) store_lanes<Acc>(centre, f);
        for (; j < phases.count; ++j, f += cells) {
          store_lanes<Acc>(phases.low_weight[j] * centre + phases.high_weight[j] * right, f);
        }
      }
    }
  }

  MTL_INLINE void mix_rows(const Acc* p0, const Acc* p1, Lanes<Acc>& mixed) const {
    Lanes<Acc> a, b;
    load_lanes(p0, a);
    load_lanes(p1, b);
    mixed = row_weights_[0] * a + row_weights_[1] * b;
  }

  // corners_ is [row low, high][column k-1, k, k+1][C][cell].
  void clear_corners() {
    for (int64_t i = 0; i < 6 * channels_ * cells_; ++i) corners_[i] = Acc(0);
  }

  // The tile's gradients, times the weights that f had.
  void sum_corners(const Phases& phases) {
    const int cells = cells_;
    const int64_t plane = channels_ * cells;
    for (int64_t c = 0; c < channels_; ++c) {
      for (int k = 0; k < cells; k += kLanes) {
        Lanes<Acc> left = {}, centre = {}, right = {}, g;
        const Acc* gradient = tile_ + c * stride_ + k;
        int j = 0;
        for (; j < phases.left_end; ++j, gradient += cells) {
          load_lanes(gradient, g);
          left += phases.low_weight[j] * g;
          centre += phases.high_weight[j] * g;
        }
        for (; j < phases.right_begin; ++j, gradient += cells) {
          load_lanes(gradient, g);
          centre += g;
        }
        for (; j < phases.count; ++j, gradient += cells) {
          load_lanes(gradient, g);
          centre += phases.low_weight[j] * g;
          right += phases.high_weight[j] * g;
        }
        Acc* sums = corners_ + c * cells + k;
        for (const Acc weight : row_weights_) {
          add_lanes(weight, left, sums);
          add_lanes(weight, centre, sums + plane);
          add_lanes(weight, right, sums + 2 * plane);
          sums += 3 * plane;
        }
      }
    }
  }

  static MTL_INLINE void add_lanes(Acc weight, const Lanes<Acc>& part, Acc* sum) {
    Lanes<Acc> total;
    load_lanes(sum, total);
    total += weight * part;
    store_lanes<Acc>(total, sum);
  }

  // Adds [column][C][cell] to a row of the gradient.
  void add_corners(const Acc* corners, int64_t first, Acc* gradient) const {
    for (int side = 0; side < 3; ++side) {
      for (int64_t c = 0; c < channels_; ++c) {
        const Acc* MTL_RESTRICT part = corners + (side * channels_ + c) * cells_;
        Acc* MTL_RESTRICT sum = gradient + c * row_stride_ + kMargin + first + side - 1;
#pragma omp simd
        for (int k = 0; k < cells_; ++k) sum[k] += part[k];
      }
    }
  }

  int64_t image_, channels_, width_;
  int ratio_;
  int64_t row_stride_;
  int stride_;     // of the tile
  int cells_ = 0;  // of the tile
  Acc row_weights_[2];
  Acc *tile_, *corners_;
  Pixels& pixels_;
};

}  // namespace MTL_SIMD
}  // namespace mtl
