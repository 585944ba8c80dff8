#include "simt/shared_memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "simt/sanitizers.h"
#include "simt/settings.h"

namespace simt {
namespace {

constexpr size_t kGap = 64;
constexpr size_t kTags = 4096;  // a longer block takes them in turn, which hides races at worst
constexpr size_t kMemory = 256 * 1024, kArrays = kMemory - 8 * kTags;

// A loop that the compiler cannot turn into memset, whose interceptor would count as an access.
void fill(char* begin, unsigned char byte, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) *static_cast<volatile char*>(begin + i) = char(byte);
}

}  // namespace

// New pages for each block: the race detector forgets the accesses of the block before.
void SharedMemory::open(size_t dynamic_bytes, unsigned char poison) {
  void* memory = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  memory_ = static_cast<char*>(memory);
  used_ = array_bytes_ = tags_ = 0;
  count_ = 0;
  poison_ = poison;
  forbid(memory_, kArrays);
  array(this, "dynamic_shared", dynamic_bytes, 16);
}

const char* SharedMemory::close() {
  const char* overrun = nullptr;
  permit(memory_, kArrays);
  for (int i = 0; i < count_; ++i) {
    const char* end = arrays_[i].begin + arrays_[i].bytes;
    for (size_t k = 0; k < kGap; ++k) {
      if (static_cast<unsigned char>(end[k]) != poison_) overrun = arrays_[i].name;
    }
  }
  munmap(memory_, kMemory);
  return overrun;
}

void* SharedMemory::array(const void* key, const char* name, size_t bytes, size_t alignment) {
  for (int i = 0; i < count_; ++i) {
    if (arrays_[i].key == key) return arrays_[i].begin;
  }
  const size_t begin = (used_ + kGap + alignment - 1) / alignment * alignment;
  if (array_bytes_ + bytes > kMaxSharedBytes || begin + bytes + kGap > kArrays ||
      count_ == kMaxArrays) {
    return nullptr;
  }
  array_bytes_ += bytes;
  used_ = begin + bytes;
  arrays_[count_++] = {key, name, memory_ + begin, bytes};
  permit(memory_ + begin, bytes + kGap);
  fill(memory_ + begin, poison_, bytes + kGap);
  forbid(memory_ + begin + bytes, kGap);
  return memory_ + begin;
}

void* SharedMemory::fresh_tag() {
  return memory_ + kArrays + 8 * (tags_++ % kTags);
}

}  // namespace simt
