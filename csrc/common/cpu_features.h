// Which compiled path of the CPU kernels this processor runs.
#pragma once

namespace mtl {

enum class SimdPath { kBaseline, kAvx2, kAvx512 };

// The widest path that was compiled and that the processor has. MTL_CUDA_SIMD=baseline|avx2 in
// the environment asks for a narrower one; it is read once.
SimdPath simd_path();

const char* simd_path_name(SimdPath path);

}  // namespace mtl
