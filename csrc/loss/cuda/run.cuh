// A run of neighbouring elements of a map of any type, in the fewest loads: 16 bytes each where the
// run has as many. Requires what is_aligned_run() of layout.h says.
#pragma once

#include <type_traits>

#include "common/cuda/element.cuh"

namespace mtl {

// The i-th of the elements that `words` hold, as load_label() and load_value() give it.
template <class T>
__device__ __forceinline__ auto element_of(const uint32_t* words, int i) {
  if constexpr (sizeof(T) == 8) {
    const uint64_t bits = words[2 * i] | uint64_t{words[2 * i + 1]} << 32;
    if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(bits);
    } else {
      return __longlong_as_double(static_cast<long long>(bits));
    }
  } else {
    constexpr int kPerWord = 4 / static_cast<int>(sizeof(T)), kBits = 32 / kPerWord;
    const uint32_t bits = words[i / kPerWord] >> kBits * (i % kPerWord);
    if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(static_cast<T>(bits));
    } else {
      return Bits<T>::get(bits);
    }
  }
}

template <int Words>
__device__ __forceinline__ void load_words(const void* place, uint32_t* words) {
  static_assert(Words == 1 || Words == 2 || Words % 4 == 0, "a load has 4, 8 or 16 bytes");
  if constexpr (Words == 1) {
    words[0] = __ldg(static_cast<const uint32_t*>(place));
  } else if constexpr (Words == 2) {
    const uint2 pair = __ldg(static_cast<const uint2*>(place));
    words[0] = pair.x, words[1] = pair.y;
  } else {
#pragma unroll
    for (int w = 0; w < Words; w += 4) {
      const uint4 four = __ldg(static_cast<const uint4*>(place) + w / 4);
      words[w] = four.x, words[w + 1] = four.y, words[w + 2] = four.z, words[w + 3] = four.w;
    }
  }
}

// use(i, element) for i = 0 ... Count - 1, in this order.
template <class T, int Count, class Use>
__device__ __forceinline__ void load_run(const TensorView& view, int64_t offset, const Use& use) {
  constexpr int kWords = Count * static_cast<int>(sizeof(T)) / 4;
  uint32_t words[kWords];
  load_words<kWords>(static_cast<const T*>(view.data) + offset, words);
#pragma unroll
  for (int i = 0; i < Count; ++i) use(i, element_of<T>(words, i));
}

// Labels or ids as int64_t.
template <int Count, class Use>
__device__ __forceinline__ void load_labels(const TensorView& view, int64_t offset,
                                            const Use& use) {
  switch (view.dtype) {
    case DType::kUInt8:
      return load_run<uint8_t, Count>(view, offset, use);
    case DType::kInt16:
      return load_run<int16_t, Count>(view, offset, use);
    case DType::kInt32:
      return load_run<int32_t, Count>(view, offset, use);
    default:
      return load_run<int64_t, Count>(view, offset, use);
  }
}

// Values as float, which NaN survives.
template <int Count, class Use>
__device__ __forceinline__ void load_values(const TensorView& view, int64_t offset,
                                            const Use& use) {
  switch (view.dtype) {
    case DType::kFloat32:
      return load_run<float, Count>(view, offset, use);
    case DType::kFloat64:
      return load_run<double, Count>(
          view, offset, [&](int i, double value) { use(i, static_cast<float>(value)); });
    case DType::kFloat16:
      return load_run<__half, Count>(view, offset, use);
    default:
      return load_run<__nv_bfloat16, Count>(view, offset, use);
  }
}

}  // namespace mtl
