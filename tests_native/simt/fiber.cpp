#include "simt/fiber.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "simt/sanitizers.h"

#if !defined(__x86_64__)
#error "the fibers of the SIMT harness are written for x86-64"
#endif

namespace simt {
namespace {

constexpr size_t kStackBytes = 128 * 1024, kGuardBytes = 4096;

extern "C" {
// Saves the registers that a call must keep, changes the stack, restores them there.
void simt_switch_stack(void** save, void* resume);
void simt_start_fiber();
}
asm(R"(
.text
.type simt_switch_stack,@function
simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch_stack, .-simt_switch_stack
.type simt_start_fiber,@function
simt_start_fiber:
  movq %r15, %rdi
  call *%r14
  ud2
.size simt_start_fiber, .-simt_start_fiber
)");

void begin(void* fiber_pointer) {
  Fiber* fiber = static_cast<Fiber*>(fiber_pointer);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
  fiber->entry(fiber->argument);
  abort();
}

}  // namespace

void create_fiber(Fiber* fiber, void (*entry)(void*), void* argument, unsigned index) {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) abort();
  *fiber = Fiber{};
  fiber->stack = static_cast<char*>(memory);
  fiber->stack_bytes = kStackBytes;
  fiber->entry = entry;
  fiber->argument = argument;
  if (race_detector()) fiber->tsan = __tsan_create_fiber(0);
  // Stacks that all end at one offset within their pages would share few sets of the cache.
  void** top = reinterpret_cast<void**>(fiber->stack + kStackBytes - (index % 61) * 64);
  // Behind its last pop the stack must be at a multiple of 16, as before any call: 7 slots + 2.
  void** frame = top - 9;
  frame[6] = reinterpret_cast<void*>(&simt_start_fiber);
  frame[5] = frame[4] = frame[3] = frame[2] = nullptr;  // rbp, rbx, r12, r13: no frame above
  frame[1] = reinterpret_cast<void*>(&begin);           // r14
  frame[0] = fiber;                                     // r15
  fiber->stack_pointer = frame;
}

void adopt_thread(Fiber* fiber) {
  pthread_attr_t attributes;
  void* stack = nullptr;
  *fiber = Fiber{};
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &stack, &fiber->stack_bytes);
  pthread_attr_destroy(&attributes);
  fiber->stack = static_cast<char*>(stack);
  if (race_detector()) fiber->tsan = __tsan_get_current_fiber();
}

__attribute__((noinline)) void switch_fiber(Fiber* from, Fiber* to) {
  constexpr unsigned kOrdersNothing = 1;  // the scheduler must not hide races between fibers
  if (__sanitizer_start_switch_fiber) {
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
  }
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(to->tsan, kOrdersNothing);
  simt_switch_stack(&from->stack_pointer, to->stack_pointer);
  if (__sanitizer_finish_switch_fiber) {
    __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
  }
}

}  // namespace simt
