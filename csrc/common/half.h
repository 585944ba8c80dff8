// float16 and bfloat16 in memory: types, and conversions that vectorise (no branches, no tables).
// To float exact; from float to nearest even, NaN stays NaN, overflow becomes infinity.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/simd.h"

namespace mtl {
inline namespace MTL_SIMD {

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

MTL_INLINE float float_from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

MTL_INLINE uint32_t bits_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

MTL_INLINE float to_float(BFloat16 value) {
  return float_from_bits(static_cast<uint32_t>(value.bits) << 16);
}

MTL_INLINE float to_float(Float16 value) {
  const uint32_t sign = (value.bits & 0x8000u) << 16;
  const uint32_t magnitude = value.bits & 0x7fffu;
  const uint32_t shifted = magnitude << 13;  // exponent and mantissa where float has them
  const uint32_t normal = shifted + (112u << 23);
  const uint32_t special = shifted + (224u << 23);  // infinity and NaN
  const uint32_t subnormal =
      bits_of_float(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  uint32_t bits = magnitude < 0x0400u ? subnormal : normal;
  bits = magnitude >= 0x7c00u ? special : bits;
  return float_from_bits(bits | sign);
}

MTL_INLINE BFloat16 to_bfloat16(float value) {
  const uint32_t bits = bits_of_float(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded)};
}

MTL_INLINE Float16 to_float16(float value) {
  const uint32_t bits = bits_of_float(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t normal = (magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1u)) >> 13;
  // Below 2^-14: the multiple of 2^-24, rounded by adding 1.5 * 2^23.
  const uint32_t subnormal =
      bits_of_float(float_from_bits(magnitude) * 0x1p24f + 0x1.8p23f) - 0x4b400000u;
  uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;
  half = magnitude > 0x7f800000u ? 0x7e00u : half;
  return {static_cast<uint16_t>(half | ((bits >> 16) & 0x8000u))};
}

// Element type <-> the type the kernels compute in.
template <class Acc>
MTL_INLINE Acc load_as(float value) {
  return static_cast<Acc>(value);
}
template <class Acc>
MTL_INLINE Acc load_as(double value) {
  return static_cast<Acc>(value);
}
template <class Acc>
MTL_INLINE Acc load_as(Float16 value) {
  return static_cast<Acc>(to_float(value));
}
template <class Acc>
MTL_INLINE Acc load_as(BFloat16 value) {
  return static_cast<Acc>(to_float(value));
}

MTL_INLINE void store_to(float* place, float value) {
  *place = value;
}
MTL_INLINE void store_to(double* place, double value) {
  *place = value;
}
MTL_INLINE void store_to(Float16* place, float value) {
  *place = to_float16(value);
}
MTL_INLINE void store_to(BFloat16* place, float value) {
  *place = to_bfloat16(value);
}

MTL_INLINE bool is_nan(float value) {
  return value != value;
}
MTL_INLINE bool is_nan(double value) {
  return value != value;
}
MTL_INLINE bool is_nan(Float16 value) {
  return (value.bits & 0x7fffu) > 0x7c00u;
}
MTL_INLINE bool is_nan(BFloat16 value) {
  return (value.bits & 0x7fffu) > 0x7f80u;
}

}  // namespace MTL_SIMD
}  // namespace mtl
