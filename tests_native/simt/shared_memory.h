// The shared memory of one block: fresh for each, filled with the poison byte, with forbidden
// gaps between the arrays.
#pragma once

#include <cstddef>

namespace simt {

class SharedMemory {
 public:
  void open(size_t dynamic_bytes, unsigned char poison);
  // Returns null, or the name of an array that was written beyond its end.
  const char* close();

  // The array of `key`; the first call in a block makes it. Null if that is over the limit.
  void* array(const void* key, const char* name, size_t bytes, size_t alignment);
  void* dynamic() { return arrays_[0].begin; }

  // An address that no earlier collective of the block was ordered by, nor of another block.
  void* fresh_tag();

 private:
  struct Array {
    const void* key;
    const char* name;
    char* begin;
    size_t bytes;
  };
  static constexpr int kMaxArrays = 64;

  char* memory_ = nullptr;
  size_t used_ = 0, array_bytes_ = 0, tags_ = 0;
  int count_ = 0;
  unsigned char poison_ = 0;
  Array arrays_[kMaxArrays] = {};
};

}  // namespace simt
