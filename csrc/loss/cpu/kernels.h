// The CPU kernels of the loss: one table of functions per instruction set.
#pragma once

#include <cstdint>

#include "common/tensor_view.h"

namespace mtl {

// One task, ready to run. Plain data: kernels compiled for newer processors see no class whose
// inline members they would compile too.
struct PixelLoss {
  TensorView prediction;        // [B,C,H,W]
  TensorView target;            // [B,1,H,W] labels, or [B,C,H,W] values
  TensorView mask;              // [B,1,H,W] bool, or absent
  TensorView gradient;          // [B,C,H,W], or absent
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

struct KernelTable {
  PixelLossKernel cross_entropy, l1, instance_offset;
};

}  // namespace mtl
