// What AddressSanitizer and ThreadSanitizer must be told of fibers and of shared memory. The
// functions are theirs, and weak: in a program without a sanitizer they are null and skipped.
#pragma once

#include <cstddef>

extern "C" {
#define SIMT_WEAK __attribute__((weak))
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, size_t size) SIMT_WEAK;
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, size_t* size) SIMT_WEAK;
void __asan_poison_memory_region(void const volatile* begin, size_t size) SIMT_WEAK;
void __asan_unpoison_memory_region(void const volatile* begin, size_t size) SIMT_WEAK;
void* __tsan_get_current_fiber() SIMT_WEAK;
void* __tsan_create_fiber(unsigned flags) SIMT_WEAK;
void __tsan_switch_to_fiber(void* fiber, unsigned flags) SIMT_WEAK;
void __tsan_acquire(void* tag) SIMT_WEAK;
void __tsan_release(void* tag) SIMT_WEAK;
#undef SIMT_WEAK
}

namespace simt {

inline bool race_detector() {
  return __tsan_create_fiber != nullptr;
}

// All that came before a release of `tag` happens before what follows an acquire of it.
inline void tsan_release(void* tag) {
  if (__tsan_release) __tsan_release(tag);
}
inline void tsan_acquire(void* tag) {
  if (__tsan_acquire) __tsan_acquire(tag);
}

inline void forbid(void* begin, size_t size) {
  if (__asan_poison_memory_region) __asan_poison_memory_region(begin, size);
}
inline void permit(void* begin, size_t size) {
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(begin, size);
}

}  // namespace simt
