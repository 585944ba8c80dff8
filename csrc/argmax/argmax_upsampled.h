// The most likely class of each pixel from logits of another resolution, and how sure it is.
//
// With f the logits interpolated bilinearly (upsample/bilinear.h), p = softmax(f) of one pixel:
//   class       = the smallest c with the largest f_c; -1 (255 in uint8) where a logit is NaN
//   probability = p_class
//   entropy     = -sum_c p_c log p_c, in nats
#pragma once

#include "common/tensor_view.h"

namespace mtl {

struct ArgmaxTask {
  TensorView logits;       // [B,C,h,w], C >= 1, h and w >= 1 where H and W are
  TensorView classes;      // [B,1,H,W] uint8 or int64: written
  TensorView probability;  // [B,1,H,W] float32, float64 for float64 logits: written; or absent
  TensorView entropy;      // likewise
  bool align_corners;      // of the interpolation
};

void argmax_upsampled_cpu(const ArgmaxTask& task, int threads);

}  // namespace mtl
