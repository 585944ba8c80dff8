// Elements on the device: loading and storing each type, packs of 16 bytes, labels.
#pragma once

#include <cstdint>

#include "common/cuda/launch.h"
#include "common/half.h"
#include "common/tensor_view.h"

namespace mtl {

__device__ __forceinline__ float to_acc(float value) {
  return value;
}
__device__ __forceinline__ double to_acc(double value) {
  return value;
}
__device__ __forceinline__ float to_acc(__half value) {
  return __half2float(value);
}
__device__ __forceinline__ float to_acc(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <class T>
__device__ __forceinline__ T from_float(float value);
template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ __half from_float<__half>(float value) {
  return __float2half_rn(value);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16_rn(value);
}

__device__ __forceinline__ void store(float* place, float value) {
  *place = value;
}
__device__ __forceinline__ void store(double* place, double value) {
  *place = value;
}
__device__ __forceinline__ void store(__half* place, float value) {
  *place = from_float<__half>(value);
}
__device__ __forceinline__ void store(__nv_bfloat16* place, float value) {
  *place = from_float<__nv_bfloat16>(value);
}

// A float and the bits of an element of type T.
template <class T>
struct Bits;
template <>
struct Bits<float> {
  static __device__ __forceinline__ float get(uint32_t bits) { return float_from_bits(bits); }
  static __device__ __forceinline__ uint32_t of(float value) { return bits_of_float(value); }
};
template <>
struct Bits<__half> {
  static __device__ __forceinline__ float get(uint32_t bits) {
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
  }
  static __device__ __forceinline__ uint32_t of(float value) {
    return __half_as_ushort(__float2half_rn(value));
  }
};
template <>
struct Bits<__nv_bfloat16> {
  static __device__ __forceinline__ float get(uint32_t bits) { return float_from_bits(bits << 16); }
  static __device__ __forceinline__ uint32_t of(float value) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(value));
  }
};

// 16 bytes of neighbouring elements, loaded and stored at once. Kept as words, which stay in
// registers where an array of two-byte elements would not.
template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  static constexpr int kPerWord = 4 / static_cast<int>(sizeof(T));
  uint32_t word[4];

  __device__ __forceinline__ float get(int i) const {
    return Bits<T>::get(word[i / kPerWord] >> (32 / kPerWord * (i % kPerWord)) % 32);
  }
  // In the order of i: the first element of a word clears the others. Where not `kept` the element
  // is 0; by a mask, since a branch would part the stores of a pack.
  __device__ __forceinline__ void set(int i, float value, bool kept) {
    const uint32_t mask = 0u - static_cast<uint32_t>(kept);
    const uint32_t bits = (Bits<T>::of(value) & mask) << (32 / kPerWord * (i % kPerWord)) % 32;
    word[i / kPerWord] = i % kPerWord == 0 ? bits : word[i / kPerWord] | bits;
  }
  // Hides from the compiler that get() gives what it gave before: rather than converting elements
  // again it would keep them converted, in more registers than there are.
  __device__ __forceinline__ void forget() {
#pragma unroll
    for (int w = 0; w < 4; ++w) asm("" : "+r"(word[w]));
  }
  // To aligned memory, in one store that does not stay in the caches. (An assignment of the struct
  // is compiled to a store per word.)
  __device__ __forceinline__ void store(T* place) const {
    __stcs(reinterpret_cast<uint4*>(place), make_uint4(word[0], word[1], word[2], word[3]));
  }
};

// An element of a map of values, whatever its type; one branch that all threads take alike.
template <class Acc>
__device__ __forceinline__ Acc load_value(const TensorView& view, int64_t offset) {
  switch (view.dtype) {
    case DType::kFloat32:
      return static_cast<Acc>(static_cast<const float*>(view.data)[offset]);
    case DType::kFloat64:
      return static_cast<Acc>(static_cast<const double*>(view.data)[offset]);
    case DType::kFloat16:
      return static_cast<Acc>(to_acc(static_cast<const __half*>(view.data)[offset]));
    default:
      return static_cast<Acc>(to_acc(static_cast<const __nv_bfloat16*>(view.data)[offset]));
  }
}

__device__ __forceinline__ int64_t load_label(const TensorView& view, int64_t offset) {
  switch (view.dtype) {
    case DType::kUInt8:
      return static_cast<const uint8_t*>(view.data)[offset];
    case DType::kInt16:
      return static_cast<const int16_t*>(view.data)[offset];
    case DType::kInt32:
      return static_cast<const int32_t*>(view.data)[offset];
    default:
      return static_cast<const int64_t*>(view.data)[offset];
  }
}

// The class of a pixel, -1 where it does not count: ignored, or no class at all (the loss will be
// NaN then). Whatever is indexed by it is within bounds.
__device__ __forceinline__ int load_class(const TensorView& view, int64_t offset, int64_t ignored,
                                          int64_t classes) {
  const int64_t label = load_label(view, offset);
  return label == ignored || label < 0 || label >= classes ? -1 : static_cast<int>(label);
}

}  // namespace mtl
