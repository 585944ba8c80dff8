// The CPU kernels of the loss: one table of functions per instruction set.
#pragma once

#include <cstdint>

#include "common/tensor_view.h"

namespace mtl {

// One task, ready to run. Plain data: kernels compiled for newer processors see no class whose
// inline members they would compile too.
struct PixelLoss {
  TensorView prediction;        // [B,C,H,W], or [B,C,h,w]
  TensorView target;            // [B,1,H,W] labels, or [B,C,H,W] values
  TensorView mask;              // [B,1,H,W] bool, or absent
  TensorView gradient;          // as the prediction, or absent
  bool align_corners;           // of the interpolation where h x w is not H x W
  bool streamed;                // whether to write the gradient past the caches
  const double* class_weights;  // [C], or null: all 1
  double class_weight_sum;      // their sum (C where null)
  int64_t ignore_index;
  double label_smoothing;
  bool scaled;              // whether d/ds is wanted: alpha = e^-s
  double logit_scale;       // alpha: the logits count as alpha * f
  double gradient_factor;   // gradient = gradient_factor * d(pixel loss)/d(prediction)
  const double* centroids;  // [B][ids][2] as (x, y)
  int64_t ids;
};

// Pixels begin <= p < end of image `image`, p = row * W + column.
struct PixelRange {
  int64_t image, begin, end;
};

// Sums over a range: of the pixel losses, and of their derivatives in s = -log(alpha).
struct PixelSums {
  double loss, log_variance;
};

// `workspace`, aligned to 64 bytes, has room for two tiles (tile.h) of the prediction's channels.
using PixelLossKernel = PixelSums (*)(const PixelLoss&, const PixelRange&, void* workspace);

// Target rows begin <= y < end of an image, against predictions of another size. They touch rows of
// the prediction from low_begin on; the band sums their gradient, and writes it for rows below
// owned_end: the others are the next band's.
struct UpsampledBand {
  int64_t image, begin, end;
  int64_t low_begin, owned_end, low_end;
  void* gradient;  // [low_end - low_begin][C][row_stride], float or double; or null: not wanted
};

// `workspace` has room for upsampled_workspace() (upsample/memory.h).
using UpsampledKernel = PixelSums (*)(const PixelLoss&, const UpsampledBand&, void* workspace);

// Writes the rows that `band` owns; `previous` is the band above it, or null.
using BandWriter = void (*)(const PixelLoss&, const UpsampledBand& band,
                            const UpsampledBand* previous);

struct KernelTable {
  PixelLossKernel cross_entropy, l1, instance_offset;
  UpsampledKernel upsampled_cross_entropy, upsampled_l1, upsampled_instance_offset;
  BandWriter write_band;
};

}  // namespace mtl
