// CUDA's loads and stores with cache hints, bit functions and fast mathematics. The fast functions
// are exact here: what they lose on a device only a device can show.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/scheduler.h"

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, T value) {
  *address = value;
}
template <class T>
void __stcg(T* address, T value) {
  *address = value;
}

inline int __popc(unsigned bits) {
  return __builtin_popcount(bits);
}
inline int __popcll(unsigned long long bits) {
  return __builtin_popcountll(bits);
}
inline int __ffs(int bits) {
  return __builtin_ffs(bits);
}
inline int __clz(int bits) {
  return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32;
}

namespace simt {
template <class To, class From>
To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

inline long long to_long_long(double x) {
  if (!(x >= -0x1p63)) return INT64_MIN;  // NaN as well
  return x >= 0x1p63 ? INT64_MAX : std::llrint(x);
}
}  // namespace simt

inline int __float_as_int(float value) {
  return simt::bit_cast<int>(value);
}
inline unsigned __float_as_uint(float value) {
  return simt::bit_cast<unsigned>(value);
}
inline float __int_as_float(int bits) {
  return simt::bit_cast<float>(bits);
}
inline float __uint_as_float(unsigned bits) {
  return simt::bit_cast<float>(bits);
}
inline long long __double_as_longlong(double value) {
  return simt::bit_cast<long long>(value);
}
inline double __longlong_as_double(long long bits) {
  return simt::bit_cast<double>(bits);
}

inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline long long __double2ll_rn(double x) {
  return simt::to_long_long(x);
}
inline long long __float2ll_rn(float x) {
  return simt::to_long_long(static_cast<double>(x));
}

// The numbers' own type, as CUDA's overloads; `min(1, 2u)` is ambiguous here and a trap there.
template <class T>
T min(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b);
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
  return a < b ? b : a;
}

[[noreturn]] inline void __trap(simt::Site site = simt::Site::here()) {
  simt::fail(site, "__trap");
}
