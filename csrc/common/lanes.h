// kLanes values that the compiler keeps in vector registers of any width: arithmetic as in scalars.
#pragma once

#include <cstring>

#include "common/simd.h"

namespace mtl {
inline namespace MTL_SIMD {

constexpr int kLanes = 16;

template <class Scalar>
struct LanesOf {
  typedef Scalar type __attribute__((vector_size(kLanes * sizeof(Scalar))));
};
template <class Scalar>
using Lanes = typename LanesOf<Scalar>::type;

template <class Scalar>
MTL_INLINE void load_lanes(const Scalar* source, Lanes<Scalar>& lanes) {
  std::memcpy(&lanes, source, sizeof lanes);
}

template <class Scalar>
MTL_INLINE void store_lanes(const Lanes<Scalar>& lanes, Scalar* target) {
  std::memcpy(target, &lanes, sizeof lanes);
}

}  // namespace MTL_SIMD
}  // namespace mtl
