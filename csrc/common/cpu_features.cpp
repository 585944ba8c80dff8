#include "common/cpu_features.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace mtl {
namespace {

SimdPath widest_path() {
#if defined(MTL_SIMD_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return SimdPath::kAvx512;
  }
#endif
#if defined(MTL_SIMD_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdPath::kAvx2;
#endif
  return SimdPath::kBaseline;
}

SimdPath choose_path() {
  const char* wish = std::getenv("MTL_CUDA_SIMD");
  const SimdPath widest = widest_path();
  for (SimdPath path : {SimdPath::kBaseline, SimdPath::kAvx2, SimdPath::kAvx512}) {
    if (wish && std::string(wish) == simd_path_name(path)) return std::min(path, widest);
  }
  return widest;
}

}  // namespace

SimdPath simd_path() {
  static const SimdPath path = choose_path();
  return path;
}

const char* simd_path_name(SimdPath path) {
  switch (path) {
    case SimdPath::kAvx512:
      return "avx512";
    case SimdPath::kAvx2:
      return "avx2";
    default:
      return "baseline";
  }
}

}  // namespace mtl
