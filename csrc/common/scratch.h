// Scratch memory of a kernel, aligned to a cache line and not filled in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mtl {

class Scratch {
 public:
  explicit Scratch(int64_t bytes)
      : bytes_(static_cast<size_t>(bytes) + kAlignment), memory_(new std::byte[bytes_]) {}

  void* data() {
    void* start = memory_.get();
    size_t room = bytes_;
    return std::align(kAlignment, bytes_ - kAlignment, start, room);
  }

 private:
  static constexpr size_t kAlignment = 64;
  size_t bytes_;
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace mtl
