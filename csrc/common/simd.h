// The namespace that CPU kernels live in. Each kernel source is compiled once per instruction set
// with MTL_SIMD=<path>; whatever it includes must be in namespace MTL_SIMD, or the linker could
// keep the copy of an inline function that was made for a newer processor.
#pragma once

#ifndef MTL_SIMD
#define MTL_SIMD portable
#endif

#if defined(__CUDACC__)
#define MTL_INLINE __host__ __device__ __forceinline__
#define MTL_RESTRICT __restrict__
#elif defined(__GNUC__) || defined(__clang__)
#define MTL_INLINE inline __attribute__((always_inline))
#define MTL_RESTRICT __restrict__
#elif defined(_MSC_VER)
#define MTL_INLINE __forceinline
#define MTL_RESTRICT __restrict
#endif
