// Cross-entropy of one tile: loss, gradient in place of the logits, and derivative in s.
//
// With z = alpha f (alpha = 1 but for the scaled softmax), p = softmax(z), class weights w and
// smoothing e, the target distribution is q_c = (1-e) w_y [c = y] + e/C w_c, its mass W = sum q:
//   loss        = W log(sum exp z) - sum_c q_c z_c
//   d loss/df_c = alpha (W p_c - q_c)
//   d loss/ds   = sum_c q_c z_c - W sum_c p_c z_c             (alpha = e^-s, d alpha/ds = -alpha)
// All z are taken relative to the pixel's largest, which changes none of the three.
#pragma once

#include "common/tile.h"
#include "common/vector_math.h"
#include "loss/cpu/kernels.h"

namespace mtl {
inline namespace MTL_SIMD {

// Per-pixel numbers of a tile; aligned, since vectors that cross two cache lines cost a tenth
// more.
template <class Acc>
struct alignas(64) CrossEntropyColumns {
  Acc largest[kMaxTilePixels];
  Acc sum[kMaxTilePixels];       // sum_c exp(z_c - largest)
  Acc label_z[kMaxTilePixels];   // z_y - largest
  Acc weight[kMaxTilePixels];    // (1-e) w_y; 0 where ignored
  Acc mass[kMaxTilePixels];      // W; 0 where ignored
  Acc smooth_z[kMaxTilePixels];  // e/C sum_c w_c (z_c - largest), where smoothed
  Acc mean_z[kMaxTilePixels];    // sum_c exp(z_c - largest) (z_c - largest), where scaled
};

template <class Acc>
MTL_INLINE void find_largest(const Acc* MTL_RESTRICT tile, int64_t channels, int stride, int count,
                             Acc* MTL_RESTRICT largest) {
#pragma omp simd
  for (int i = 0; i < count; ++i) largest[i] = tile[i];
  for (int64_t c = 1; c < channels; ++c) {
    const Acc* MTL_RESTRICT f = tile + c * stride;
#pragma omp simd
    for (int i = 0; i < count; ++i) largest[i] = f[i] > largest[i] ? f[i] : largest[i];
  }
}

// What the label of each pixel contributes; the only step that indexes by label.
template <class Acc>
inline void gather_labels(const PixelLoss& loss, const Acc* tile, int stride, int count,
                          const int32_t* labels, CrossEntropyColumns<Acc>& columns) {
  const Acc alpha = static_cast<Acc>(loss.logit_scale);
  const Acc kept = static_cast<Acc>(1.0 - loss.label_smoothing);
  const Acc smooth_mass = static_cast<Acc>(loss.label_smoothing * loss.class_weight_sum /
                                           static_cast<double>(loss.prediction.channels()));
  for (int i = 0; i < count; ++i) {
    const int32_t y = labels[i];
    const bool valid = y >= 0;
    const int64_t place = static_cast<int64_t>(valid ? y : 0);
    const Acc w = loss.class_weights ? static_cast<Acc>(loss.class_weights[place]) : Acc(1);
    columns.label_z[i] = alpha * (tile[place * stride + i] - columns.largest[i]);
    columns.weight[i] = valid ? kept * w : Acc(0);
    columns.mass[i] = valid ? kept * w + smooth_mass : Acc(0);
  }
}

// `Rows` classes from `f` on become exp(z - largest). Their sum is made first and then added: fewer
// roundings at the size of the whole sum, and fewer passes over it.
template <int Rows, class Acc>
MTL_INLINE void exponentiate_rows(Acc alpha, int stride, int count, const Acc* MTL_RESTRICT largest,
                                  Acc* MTL_RESTRICT f, Acc* MTL_RESTRICT sum) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    Acc part = 0;
    for (int r = 0; r < Rows; ++r) {
      const Acc e = exp_nonpositive(alpha * (f[r * stride + i] - largest[i]));
      f[r * stride + i] = e;
      part += e;
    }
    sum[i] += part;
  }
}

// The sums that only smoothing and the derivative in s need, while the tile still holds logits.
template <class Acc>
inline void sum_logits(const PixelLoss& loss, int64_t channels, int stride, int count,
                       const Acc* MTL_RESTRICT tile, CrossEntropyColumns<Acc>& columns) {
  const Acc alpha = static_cast<Acc>(loss.logit_scale);
  const double smoothing = loss.label_smoothing / static_cast<double>(channels);
  for (int64_t c = 0; c < channels; ++c) {
    const Acc* MTL_RESTRICT f = tile + c * stride;
    const double w = loss.class_weights ? loss.class_weights[c] : 1.0;
    const Acc share = static_cast<Acc>(smoothing * w);
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const Acc z = alpha * (f[i] - columns.largest[i]);
      if (smoothing > 0.0) columns.smooth_z[i] += share * z;
      if (loss.scaled) columns.mean_z[i] += exp_nonpositive(z) * z;
    }
  }
}

// The logits become exp(z - largest), summed over the classes.
template <class Acc>
inline void exponentiate(const PixelLoss& loss, int64_t channels, int stride, int count,
                         Acc* MTL_RESTRICT tile, CrossEntropyColumns<Acc>& columns) {
  constexpr int kRows = 4;
  const Acc alpha = static_cast<Acc>(loss.logit_scale);
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    columns.sum[i] = columns.smooth_z[i] = columns.mean_z[i] = Acc(0);
  }
  if (loss.label_smoothing > 0.0 || loss.scaled) {
    sum_logits(loss, channels, stride, count, tile, columns);
  }
  int64_t c = 0;
  for (; c + kRows <= channels; c += kRows) {
    exponentiate_rows<kRows>(alpha, stride, count, columns.largest, tile + c * stride, columns.sum);
  }
  for (; c < channels; ++c) {
    exponentiate_rows<1>(alpha, stride, count, columns.largest, tile + c * stride, columns.sum);
  }
}

template <class Acc>
inline PixelSums sum_columns(const PixelLoss& loss, int count,
                             const CrossEntropyColumns<Acc>& columns) {
  const bool scaled = loss.scaled;
  Acc total = 0, total_s = 0;
#pragma omp simd reduction(+ : total, total_s)
  for (int i = 0; i < count; ++i) {
    const Acc log_sum = log_positive(columns.sum[i]);
    const Acc mass = columns.mass[i];
    const Acc target_z = columns.weight[i] * columns.label_z[i] + columns.smooth_z[i];
    const Acc pixel = mass * log_sum - target_z;
    const Acc pixel_s = target_z - mass * columns.mean_z[i] / columns.sum[i];
    total += mass > Acc(0) ? pixel : Acc(0);
    total_s += scaled && mass > Acc(0) ? pixel_s : Acc(0);
  }
  return {static_cast<double>(total), static_cast<double>(total_s)};
}

// The exponentials become gradient_factor * alpha (W p_c - q_c).
template <class Acc>
inline void write_gradient(const PixelLoss& loss, int64_t channels, int stride, int count,
                           const int32_t* labels, Acc* MTL_RESTRICT tile,
                           CrossEntropyColumns<Acc>& columns) {
  const Acc factor = static_cast<Acc>(loss.gradient_factor * loss.logit_scale);
  const Acc smoothing = static_cast<Acc>(loss.label_smoothing / static_cast<double>(channels));
  const Acc* MTL_RESTRICT mass = columns.mass;
  Acc* MTL_RESTRICT share = columns.sum;  // what a unit of exp(z - largest) gets
#pragma omp simd
  for (int i = 0; i < count; ++i) share[i] = factor * mass[i] / share[i];
  for (int64_t c = 0; c < channels; ++c) {
    const double w = loss.class_weights ? loss.class_weights[c] : 1.0;
    const Acc spread = factor * smoothing * static_cast<Acc>(w);
    Acc* MTL_RESTRICT e = tile + c * stride;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const Acc g = e[i] * share[i] - spread;
      e[i] = mass[i] > Acc(0) ? g : Acc(0);
    }
  }
  for (int i = 0; i < count; ++i) {
    if (labels[i] >= 0)
      tile[labels[i] * static_cast<int64_t>(stride) + i] -= factor * columns.weight[i];
  }
}

// The pixels of a tile: their labels, then their losses.
template <class Acc>
class CrossEntropyPixels {
 public:
  CrossEntropyPixels(const PixelLoss& loss, Acc*, int stride) : loss_(loss), stride_(stride) {}

  // Pixels `first`, a multiple of kVector, and on of the tile are those of `block`.
  void place(const Block& block, int first) {
    load_labels(loss_.target, block, loss_.ignore_index, labels_ + first);
  }

  // Logits become gradients, where gradients are wanted.
  void evaluate(int count, Acc* tile) {
    const int64_t channels = loss_.prediction.channels();
    find_largest(tile, channels, stride_, count, columns_.largest);
    gather_labels(loss_, tile, stride_, count, labels_, columns_);
    exponentiate(loss_, channels, stride_, count, tile, columns_);
    const PixelSums part = sum_columns(loss_, count, columns_);
    sums_.loss += part.loss;
    sums_.log_variance += part.log_variance;
    if (loss_.gradient.data) {
      write_gradient(loss_, channels, stride_, count, labels_, tile, columns_);
    }
  }

  // Over all tiles so far.
  const PixelSums& sums() const { return sums_; }

 private:
  const PixelLoss& loss_;
  int stride_;
  int32_t labels_[kMaxTilePixels];
  CrossEntropyColumns<Acc> columns_;
  PixelSums sums_ = {0.0, 0.0};
};

}  // namespace MTL_SIMD
}  // namespace mtl
