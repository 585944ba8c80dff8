// Stores that bypass the caches, for results too large to be read again from there. An ordinary
// store first reads the line that it is about to overwrite; this one does not.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace mtl {
inline namespace MTL_SIMD {

#if defined(__AVX512F__)
constexpr int kStreamBytes = 64;
MTL_INLINE void stream_vector(void* target, const void* source) {
  _mm512_stream_si512(static_cast<__m512i*>(target), _mm512_loadu_si512(source));
}
#elif defined(__AVX__)
constexpr int kStreamBytes = 32;
MTL_INLINE void stream_vector(void* target, const void* source) {
  _mm256_stream_si256(static_cast<__m256i*>(target),
                      _mm256_loadu_si256(static_cast<const __m256i*>(source)));
}
#elif defined(__SSE2__)
constexpr int kStreamBytes = 16;
MTL_INLINE void stream_vector(void* target, const void* source) {
  _mm_stream_si128(static_cast<__m128i*>(target),
                   _mm_loadu_si128(static_cast<const __m128i*>(source)));
}
#else
constexpr int kStreamBytes = 16;
MTL_INLINE void stream_vector(void* target, const void* source) {
  std::memcpy(target, source, kStreamBytes);
}
#endif

// Copies `bytes`; the parts of `target` before and behind whole vectors by ordinary stores.
MTL_INLINE void stream_copy(void* target, const void* source, int64_t bytes) {
  char* to = static_cast<char*>(target);
  const char* from = static_cast<const char*>(source);
  int64_t head = -reinterpret_cast<intptr_t>(to) & (kStreamBytes - 1);
  if (head > bytes) head = bytes;
  std::memcpy(to, from, static_cast<size_t>(head));
  int64_t i = head;
  for (; i + kStreamBytes <= bytes; i += kStreamBytes) stream_vector(to + i, from + i);
  std::memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
}

// Streamed stores are ordered against nothing: call this before another thread may read them.
MTL_INLINE void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace MTL_SIMD
}  // namespace mtl
