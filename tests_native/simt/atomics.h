// CUDA's atomics: relaxed, they order no other memory. Before each, threads may overtake each
// other.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/scheduler.h"

namespace simt {

// Puts change(old) in the place of old, at once. Floating types go through their bits.
template <class T, class Change>
T update(T* address, Change change) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  static_assert(sizeof(T) == sizeof(Bits), "atomics work on 4 or 8 bytes");
  atomic_point();
  Bits* bits = reinterpret_cast<Bits*>(address);
  Bits old_bits = __atomic_load_n(bits, __ATOMIC_RELAXED);
  for (;;) {
    T old_value;
    std::memcpy(&old_value, &old_bits, sizeof old_value);
    const T new_value = change(old_value);
    Bits new_bits;
    std::memcpy(&new_bits, &new_value, sizeof new_bits);
    if (__atomic_compare_exchange_n(bits, &old_bits, new_bits, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
      return old_value;
    }
  }
}

// The operand must have the type of the memory, or convert to it: only the address counts.
template <class T>
struct Operand {
  using type = T;
};
template <class T>
using OperandOf = typename Operand<T>::type;

// Sums of integers wrap around, as on the device.
template <class T>
T wrapping_sum(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  } else {
    return a + b;
  }
}

}  // namespace simt

template <class T>
T atomicAdd(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return simt::wrapping_sum(old, value); });
}
template <class T>
T atomicMin(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicOr(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return old | value; });
}
template <class T>
T atomicAnd(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return old & value; });
}
template <class T>
T atomicExch(T* address, simt::OperandOf<T> value) {
  return simt::update(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, simt::OperandOf<T> expected, simt::OperandOf<T> value) {
  return simt::update(address, [=](T old) { return old == expected ? value : old; });
}

inline void __threadfence() {
  simt::memory_fence();
}
inline void __threadfence_block() {
  simt::memory_fence();
}
