// L1 of one tile: loss, and gradient in place of the prediction.
//
//   loss             = sum_c |prediction_c - target_c|
//   d loss/d pred_c  = sign(prediction_c - target_c), 0 where they are equal or one is NaN
// over valid pixels. For instance offsets the target is centroid - pixel, made here from the ids.
#pragma once

#include "common/tile.h"
#include "loss/cpu/kernels.h"

namespace mtl {
inline namespace MTL_SIMD {

// Reads the values; a pixel is valid (1) where the mask is true and no channel is NaN.
template <class Acc>
inline void load_values(const PixelLoss& loss, const Block& block, int stride, int count,
                        Acc* MTL_RESTRICT target, Acc* MTL_RESTRICT valid) {
  load_tile(loss.target, block, stride, target);
  if (loss.mask.data) {
    const bool* mask = static_cast<const bool*>(loss.mask.data) +
                       loss.mask.offset(block.image, block.row, block.column);
    const int64_t step = loss.mask.strides[3] * block.step;
    for (int i = 0; i < block.count; ++i) valid[i] = mask[i * step] ? Acc(1) : Acc(0);
  } else {
    for (int i = 0; i < block.count; ++i) valid[i] = Acc(1);
  }
  for (int i = block.count; i < count; ++i) valid[i] = Acc(0);
  for (int64_t c = 0; c < loss.prediction.channels(); ++c) {
    const Acc* MTL_RESTRICT value = target + c * stride;
#pragma omp simd
    for (int i = 0; i < count; ++i) valid[i] = value[i] == value[i] ? valid[i] : Acc(0);
  }
}

// The vectors from each pixel to the centroid of its instance; valid where there is one.
//
// Pixels side by side share ids, so the work is done by runs of one id within a row.
template <class Acc>
inline void offsets_of_runs(const PixelLoss& loss, const Block& block, int stride, int count,
                            const int32_t* ids, Acc* MTL_RESTRICT target, Acc* MTL_RESTRICT valid) {
  const double* centroids = loss.centroids + 2 * block.image * loss.ids;
  const int64_t width = loss.target.width();
  int64_t x = block.column, y = block.row;
  for (int begin = 0; begin < count;) {
    const int32_t id = ids[begin];
    const int row_end = static_cast<int64_t>(count - begin) < width - x
                            ? count
                            : begin + static_cast<int>(width - x);
    int end = begin + 1;
    while (end < row_end && ids[end] == id) ++end;
    const double* centroid = centroids + 2 * static_cast<int64_t>(id > 0 ? id : 0);
    const double dx = centroid[0] - static_cast<double>(x);
    const Acc dy = static_cast<Acc>(centroid[1] - static_cast<double>(y));
    const Acc inside = id > 0 ? Acc(1) : Acc(0);
#pragma omp simd
    for (int i = begin; i < end; ++i) {
      target[i] = static_cast<Acc>(dx - static_cast<double>(i - begin));
      target[stride + i] = dy;
      valid[i] = inside;
    }
    x += end - begin;
    if (x == width) {
      x = 0;
      ++y;
    }
    begin = end;
  }
}

// Pixels apart, of one row, look their centroids up.
template <class Acc>
inline void offsets_of_pixels(const PixelLoss& loss, const Block& block, int stride, int count,
                              const int32_t* ids, Acc* MTL_RESTRICT target,
                              Acc* MTL_RESTRICT valid) {
  const double* MTL_RESTRICT centroids = loss.centroids + 2 * block.image * loss.ids;
  const double x = static_cast<double>(block.column), y = static_cast<double>(block.row);
  const double step = static_cast<double>(block.step);
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const int32_t row = ids[i] > 0 ? ids[i] : 0;
    target[i] = static_cast<Acc>(centroids[2 * row] - (x + step * i));
    target[stride + i] = static_cast<Acc>(centroids[2 * row + 1] - y);
    valid[i] = ids[i] > 0 ? Acc(1) : Acc(0);
  }
}

template <class Acc>
inline void load_offsets(const PixelLoss& loss, const Block& block, int stride, int count,
                         Acc* target, Acc* valid) {
  int32_t ids[kMaxTilePixels];
  load_labels(loss.target, block, 0, ids);  // no instance becomes -1
  if (block.step == 1) {
    offsets_of_runs(loss, block, stride, count, ids, target, valid);
  } else {
    offsets_of_pixels(loss, block, stride, count, ids, target, valid);
  }
}

template <class Acc>
inline double distances(const PixelLoss& loss, int64_t channels, int stride, int count,
                        const Acc* target, const Acc* valid, Acc* tile) {
  const Acc factor = static_cast<Acc>(loss.gradient_factor);
  Acc total = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const Acc* MTL_RESTRICT t = target + c * stride;
    Acc* MTL_RESTRICT p = tile + c * stride;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < count; ++i) {
      const Acc d = p[i] - t[i];
      const Acc distance = d < Acc(0) ? -d : d;
      const Acc sign = d > Acc(0) ? Acc(1) : (d < Acc(0) ? Acc(-1) : Acc(0));
      total += valid[i] > Acc(0) ? distance : Acc(0);
      p[i] = valid[i] > Acc(0) ? factor * sign : Acc(0);
    }
  }
  return static_cast<double>(total);
}

// The pixels of a tile: their targets, then their losses. `Offsets`: targets are made from ids.
template <class Acc, bool Offsets>
class L1Pixels {
 public:
  // `target` [C][stride] is memory for the targets of a tile.
  L1Pixels(const PixelLoss& loss, Acc* target, int stride)
      : loss_(loss), target_(target), stride_(stride) {}

  // Pixels `first`, a multiple of kVector, and on of the tile are those of `block`.
  void place(const Block& block, int first) {
    const int count = (block.count + kVector - 1) / kVector * kVector;
    if (Offsets) {
      load_offsets(loss_, block, stride_, count, target_ + first, valid_ + first);
    } else {
      load_values(loss_, block, stride_, count, target_ + first, valid_ + first);
    }
  }

  // Predictions become gradients.
  void evaluate(int count, Acc* tile) {
    sums_.loss +=
        distances(loss_, loss_.prediction.channels(), stride_, count, target_, valid_, tile);
  }

  // Over all tiles so far.
  const PixelSums& sums() const { return sums_; }

 private:
  const PixelLoss& loss_;
  Acc* target_;
  int stride_;
  alignas(64) Acc valid_[kMaxTilePixels];
  PixelSums sums_ = {0.0, 0.0};
};

}  // namespace MTL_SIMD
}  // namespace mtl
