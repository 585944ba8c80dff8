// CUDA's barriers, shuffles and votes.
#pragma once

#include <cstring>

#include "simt/scheduler.h"

namespace simt {

template <class T>
unsigned long long to_bits(T value) {
  static_assert(sizeof(T) <= 8, "a shuffle moves 8 bytes at most");
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T>
T shuffle_as(unsigned mask, T value, int source_lane, Site site) {
  const unsigned long long bits = shuffle(mask, to_bits(value), source_lane, site);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// `lane`, or the calling lane where that is outside of its segment of `width` lanes.
inline int within_segment(int lane, int width) {
  const int own = static_cast<int>(place->lane), begin = own & ~(width - 1);
  return lane >= begin && lane < begin + width ? lane : own;
}

}  // namespace simt

inline void __syncthreads(simt::Site site = simt::Site::here()) {
  simt::sync_block(false, site);
}
inline int __syncthreads_or(int predicate, simt::Site site = simt::Site::here()) {
  return simt::sync_block(predicate != 0, site).any;
}
inline int __syncthreads_and(int predicate, simt::Site site = simt::Site::here()) {
  return simt::sync_block(predicate != 0, site).all;
}
inline int __syncthreads_count(int predicate, simt::Site site = simt::Site::here()) {
  return simt::sync_block(predicate != 0, site).count;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, simt::Site site = simt::Site::here()) {
  simt::sync_warp(mask, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
  return simt::ballot(mask, predicate != 0, site);
}
inline int __any_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
  return simt::ballot(mask, predicate != 0, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, simt::Site site = simt::Site::here()) {
  return simt::ballot(mask, predicate == 0, site) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, simt::Site site = simt::Site::here()) {
  return simt::match(mask, simt::to_bits(value), site);
}
// Only ever a lower bound of the lanes that are together.
inline unsigned __activemask() {
  return 1u << simt::place->lane;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              simt::Site site = simt::Site::here()) {
  const int begin = static_cast<int>(simt::place->lane) & ~(width - 1);
  return simt::shuffle_as(mask, value, begin + (source & (width - 1)), site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 simt::Site site = simt::Site::here()) {
  const int source = static_cast<int>(simt::place->lane) - static_cast<int>(delta);
  return simt::shuffle_as(mask, value, simt::within_segment(source, width), site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   simt::Site site = simt::Site::here()) {
  const int source = static_cast<int>(simt::place->lane + delta);
  return simt::shuffle_as(mask, value, simt::within_segment(source, width), site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32,
                  simt::Site site = simt::Site::here()) {
  const int source = static_cast<int>(simt::place->lane) ^ lanes;
  return simt::shuffle_as(mask, value, simt::within_segment(source, width), site);
}
