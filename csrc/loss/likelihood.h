// From the raw loss to the term in the total: the weight of each likelihood and its derivative in
// the log-variance s (docs/maths.md; Kendall, Gal, Cipolla 2018, equations 5-10).
#pragma once

#include <cmath>

#include "common/simd.h"
#include "loss/loss.h"

namespace mtl {

constexpr double kMinLogVariance = -10.0, kMaxLogVariance = 10.0;

MTL_INLINE double read_log_variance(const void* log_variance, bool is_double) {
  if (!log_variance) return 0.0;
  return is_double ? *static_cast<const double*>(log_variance)
                   : static_cast<double>(*static_cast<const float*>(log_variance));
}

// NaN stays NaN.
MTL_INLINE double clamp_log_variance(double s) {
  return s < kMinLogVariance ? kMinLogVariance : s > kMaxLogVariance ? kMaxLogVariance : s;
}

// d term / d L.
MTL_INLINE double loss_weight(Likelihood likelihood, double s, double fixed_weight) {
  switch (likelihood) {
    case Likelihood::kSoftmax:
      return std::exp(-s);
    case Likelihood::kGaussian:
      return 0.5 * std::exp(-s);
    case Likelihood::kLaplace:
      return std::exp(-0.5 * s);
    case Likelihood::kScaledSoftmax:
      return 1.0;
    default:
      return fixed_weight;
  }
}

// What the log-variance adds on its own: s/2, except where it acts inside the loss or not at all.
MTL_INLINE double regulariser(Likelihood likelihood, double s) {
  return likelihood == Likelihood::kFixed || likelihood == Likelihood::kScaledSoftmax ? 0.0
                                                                                      : 0.5 * s;
}

// The factor on the logits: exp(-s) = 1/sigma^2 for the scaled softmax, else 1.
MTL_INLINE double logit_scale(Likelihood likelihood, double s) {
  return likelihood == Likelihood::kScaledSoftmax ? std::exp(-s) : 1.0;
}

// d term / d s. `inner` is dL/ds, nonzero for the scaled softmax alone.
MTL_INLINE double log_variance_gradient(Likelihood likelihood, double s, double loss,
                                        double inner) {
  switch (likelihood) {
    case Likelihood::kSoftmax:
      return -std::exp(-s) * loss + 0.5;
    case Likelihood::kGaussian:
      return -0.5 * std::exp(-s) * loss + 0.5;
    case Likelihood::kLaplace:
      return -0.5 * std::exp(-0.5 * s) * loss + 0.5;
    case Likelihood::kScaledSoftmax:
      return inner;
    default:
      return 0.0;
  }
}

// The factor that the stored gradient carries: see LossOutputs::gradient_scales. The gradient of a
// low-resolution prediction sums those of the pixels it stands for.
MTL_INLINE double stored_gradient_scale(const TensorView& prediction, const TensorView& target,
                                        double weight, double normaliser) {
  const double scale = weight == 0.0 ? 1.0 : weight;
  if (prediction.dtype != DType::kFloat16 || !(normaliser > 0.0)) return scale;
  const double summed =
      static_cast<double>(target.pixels()) / static_cast<double>(prediction.pixels());
  return std::ldexp(scale, std::ilogb(summed > 1.0 ? normaliser / summed : normaliser));
}

}  // namespace mtl
