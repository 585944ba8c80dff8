// The places that were offered a reachability, smallest (reachability, next point) on top.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace mtl {

// A binary heap that knows where each place is: no place is in it twice, however many offers it
// gets. `Before` orders places and may change its mind, see raise().
template <class Before>
class Frontier {
 public:
  Frontier(int64_t places, Before before) : before_(before), position_(places, kOutside) {}

  // Enters a place, or moves it up after it got a better offer.
  void raise(int32_t place) {
    if (position_[place] == kOutside) {
      position_[place] = static_cast<int32_t>(heap_.size());
      heap_.push_back(place);
    }
    int32_t at = position_[place];
    for (; at > 0 && before_(place, heap_[(at - 1) / 2]); at = (at - 1) / 2) {
      put(heap_[(at - 1) / 2], at);
    }
    put(place, at);
  }

  // Negative if nobody is left.
  int32_t pop() {
    if (heap_.empty()) return -1;
    const int32_t top = heap_[0], last = heap_.back();
    heap_.pop_back();
    position_[top] = kOutside;
    if (heap_.empty()) return top;
    const int32_t size = static_cast<int32_t>(heap_.size());
    int32_t at = 0;
    for (int32_t child = 1; child < size; child = 2 * at + 1) {
      child += child + 1 < size && before_(heap_[child + 1], heap_[child]);
      if (!before_(heap_[child], last)) break;
      put(heap_[child], at);
      at = child;
    }
    put(last, at);
    return top;
  }

 private:
  static constexpr int32_t kOutside = -1;

  void put(int32_t place, int32_t at) {
    heap_[at] = place;
    position_[place] = at;
  }

  const Before before_;
  std::vector<int32_t> heap_;
  std::vector<int32_t> position_;  // of each place in heap_
};

}  // namespace mtl
