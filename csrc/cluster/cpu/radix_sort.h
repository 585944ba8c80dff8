// Sorts (key, index) pairs by key, stably, on several threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/parallel.h"

namespace mtl {

template <class Key>
struct Keyed {
  Key key;
  int32_t index;
};

// From the least significant digit: per pass each part of the array counts its digits, the counts
// become places, and each part scatters to its own places. Keys are below 2^bits.
template <class Key>
void radix_sort(std::vector<Keyed<Key>>& items, int bits, int threads) {
  constexpr int kDigitBits = 11;
  constexpr int64_t kDigits = 1 << kDigitBits, kSmallestPart = 16384;
  const int64_t count = static_cast<int64_t>(items.size());
  const int64_t parts = std::clamp<int64_t>(count / kSmallestPart, 1, threads);
  std::vector<Keyed<Key>> other(items.size());
  std::vector<int64_t> places(parts * kDigits);
  const auto for_parts = [&](const auto& body) {
    parallel_for(parts, threads, [&](int64_t part) {
      body(&places[part * kDigits], count * part / parts, count * (part + 1) / parts);
    });
  };
  for (int shift = 0; shift < bits; shift += kDigitBits) {
    const auto digit = [shift](Key key) { return (key >> shift) & (kDigits - 1); };
    std::fill(places.begin(), places.end(), 0);
    for_parts([&](int64_t* counts, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++counts[digit(items[i].key)];
    });
    int64_t place = 0;
    for (int64_t d = 0; d < kDigits; ++d) {
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t here = places[part * kDigits + d];
        places[part * kDigits + d] = place;
        place += here;
      }
    }
    for_parts([&](int64_t* next, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) other[next[digit(items[i].key)]++] = items[i];
    });
    items.swap(other);
  }
}

}  // namespace mtl
