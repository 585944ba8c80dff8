// The pixels of a tile of interpolated logits: class, probability and entropy.
//
// With m the largest logit of a pixel, z_c = f_c - m and S = sum_c exp z_c:
//   probability = 1 / S        entropy = log S - (sum_c z_c exp z_c) / S
#pragma once

#include "argmax/cpu/kernels.h"
#include "common/tile.h"
#include "common/vector_math.h"

namespace mtl {
inline namespace MTL_SIMD {

// Per-pixel numbers of a tile; aligned, since vectors that cross two cache lines cost a tenth
// more.
template <class Acc>
struct alignas(64) ArgmaxColumns {
  Acc largest[kMaxTilePixels];      // of the logits that are numbers
  Acc nan[kMaxTilePixels];          // a logit that is none, or any other
  int32_t classes[kMaxTilePixels];  // of the largest
  Acc sum[kMaxTilePixels];          // S, then the probability
  Acc weighted[kMaxTilePixels];     // sum_c z_c exp z_c, then the entropy
};

// Compares `Rows` classes from `first` on, at f, with the largest so far. (Each select has a plain
// comparison of its own: together they would not be vectorised.)
template <int Rows, class Acc>
MTL_INLINE void compare_rows(int32_t first, int stride, int count, const Acc* MTL_RESTRICT f,
                             ArgmaxColumns<Acc>& columns) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    Acc largest = columns.largest[i], nan = columns.nan[i];
    int32_t place = columns.classes[i];
    for (int r = 0; r < Rows; ++r) {
      const Acc value = f[r * stride + i];
      place = value > largest ? first + r : place;
      largest = value > largest ? value : largest;
      nan = value == value ? nan : value;
    }
    columns.largest[i] = largest;
    columns.nan[i] = nan;
    columns.classes[i] = place;
  }
}

template <class Acc>
inline void find_classes(const Acc* MTL_RESTRICT tile, int64_t channels, int stride, int count,
                         ArgmaxColumns<Acc>& columns) {
  constexpr int kRows = 4;
  for (int i = 0; i < count; ++i) {
    columns.largest[i] = columns.nan[i] = tile[i];
    columns.classes[i] = 0;
  }
  const int32_t classes = static_cast<int32_t>(channels);
  int32_t c = 1;
  for (; c + kRows <= classes; c += kRows) {
    compare_rows<kRows>(c, stride, count, tile + int64_t{c} * stride, columns);
  }
  for (; c < classes; ++c) {
    compare_rows<1>(c, stride, count, tile + int64_t{c} * stride, columns);
  }
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    columns.classes[i] = columns.nan[i] == columns.nan[i] ? columns.classes[i] : -1;
  }
}

template <bool Entropy, class Acc>
inline void sum_exponentials(const Acc* MTL_RESTRICT tile, int64_t channels, int stride, int count,
                             ArgmaxColumns<Acc>& columns) {
  for (int i = 0; i < count; ++i) columns.sum[i] = columns.weighted[i] = Acc(0);
  for (int64_t c = 0; c < channels; ++c) {
    const Acc* MTL_RESTRICT f = tile + c * stride;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const Acc z = f[i] - columns.largest[i];
      const Acc bounded = z < Acc(-1000) ? Acc(-1000) : z;  // 0 times infinity would be NaN
      const Acc e = exp_nonpositive(bounded);
      columns.sum[i] += e;
      if (Entropy) columns.weighted[i] += e * bounded;
    }
  }
}

// Sums become probability and entropy.
template <class Acc>
inline void divide_by_sums(int count, ArgmaxColumns<Acc>& columns) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const Acc sum = columns.sum[i];
    columns.sum[i] = Acc(1) / sum;
    columns.weighted[i] = log_positive(sum) - columns.weighted[i] / sum;
  }
}

template <class Result, class Value>
inline void write_run(const Value* values, const Block& block, const TensorView& view) {
  Result* target =
      static_cast<Result*>(view.data) + view.offset(block.image, block.row, block.column);
  const int64_t step = view.strides[3] * block.step;
  for (int i = 0; i < block.count; ++i) target[i * step] = static_cast<Result>(values[i]);
}

template <class Acc>
class ArgmaxPixels {
 public:
  ArgmaxPixels(const ArgmaxTask& task, int stride) : task_(task), stride_(stride) {}

  // Pixels `first`, a multiple of kVector, and on of the tile are those of `block`.
  void place(const Block& block, int first) { runs_[run_count_++] = {block, first}; }

  // Writes the results of the pixels that were placed since the last call.
  void evaluate(int count, const Acc* tile) {
    const int64_t channels = task_.logits.channels();
    find_classes(tile, channels, stride_, count, columns_);
    if (task_.entropy.data) {
      sum_exponentials<true>(tile, channels, stride_, count, columns_);
      divide_by_sums(count, columns_);
    } else if (task_.probability.data) {
      sum_exponentials<false>(tile, channels, stride_, count, columns_);
      divide_by_sums(count, columns_);
    }
    for (int r = 0; r < run_count_; ++r) write(runs_[r].block, runs_[r].first);
    run_count_ = 0;
  }

 private:
  struct Run {
    Block block;
    int first;
  };

  void write(const Block& block, int first) const {
    if (task_.classes.dtype == DType::kUInt8) {
      write_run<uint8_t>(columns_.classes + first, block, task_.classes);
    } else {
      write_run<int64_t>(columns_.classes + first, block, task_.classes);
    }
    if (task_.probability.data) write_run<Acc>(columns_.sum + first, block, task_.probability);
    if (task_.entropy.data) write_run<Acc>(columns_.weighted + first, block, task_.entropy);
  }

  const ArgmaxTask& task_;
  int stride_;
  Run runs_[kMaxTilePixels / kVector];
  int run_count_ = 0;
  ArgmaxColumns<Acc> columns_;
};

}  // namespace MTL_SIMD
}  // namespace mtl
