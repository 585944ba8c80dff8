// exp and log for loops that the compiler vectorises: no branches, no library calls in float.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/half.h"
#include "common/simd.h"

namespace mtl {
inline namespace MTL_SIMD {

// e^x for x <= 0 (and a little above), relative error below 1 ulp; NaN stays NaN, and below
// -87.3, where float has no normal result, it is 0.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r by the polynomial 1 + r + r^2 q(r) whose largest error
// over that range, 2^-28, is the smallest for its degree.
MTL_INLINE float exp_nonpositive(float x) {
  // The sum's low bits hold n + 127, the exponent of 2^n: shifted into place they are 2^n, and 0
  // for n = -127, which is where -88 leads.
  constexpr float kLog2E = 1.44269504f, kRound = 0x1.8p23f + 127.0f;
  constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  const float bounded = x < -87.3f ? -88.0f : x;
  const float shifted = bounded * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  float p = 0x1.6a23cep-10f;
  p = p * r + 0x1.123a2p-7f;
  p = p * r + 0x1.5558f2p-5f;
  p = p * r + 0x1.555492p-3f;
  p = p * r + 0x1.fffffcp-2f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * float_from_bits(bits_of_float(shifted) << 23);
}

MTL_INLINE double exp_nonpositive(double x) {
  return std::exp(x);
}

// log x for normal x > 0; NaN stays NaN, infinity infinity.
//
// x = 2^n m with sqrt(1/2) <= m < sqrt(2); log m = 2 artanh(t), t = (m-1)/(m+1), |t| < 0.172: the
// first term left out, 2 t^11 / 11, is below 2^-29 of t.
MTL_INLINE float log_positive(float x) {
  constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  const uint32_t bits = bits_of_float(x);
  const uint32_t above = bits - 0x3f3504f3u;  // distance from sqrt(1/2)
  const float n = static_cast<float>(static_cast<int32_t>(above) >> 23);
  const float m = float_from_bits((above & 0x007fffffu) + 0x3f3504f3u);
  const float t = (m - 1.0f) / (m + 1.0f);
  const float t2 = t * t;
  float p = 2.0f / 9.0f;
  p = p * t2 + 2.0f / 7.0f;
  p = p * t2 + 2.0f / 5.0f;
  p = p * t2 + 2.0f / 3.0f;
  const float log_m = t + t + t * t2 * p;
  const float result = n * kLn2High + (n * kLn2Low + log_m);
  return x <= 0x1.fffffep127f ? result : x;
}

MTL_INLINE double log_positive(double x) {
  return std::log(x);
}

}  // namespace MTL_SIMD
}  // namespace mtl
