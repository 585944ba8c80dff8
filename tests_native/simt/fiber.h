// A fiber: a stack of its own that can be left in the middle of a function and resumed there.
#pragma once

#include <cstddef>

namespace simt {

struct Fiber {
  void* stack_pointer;  // while the fiber is left
  char* stack;
  size_t stack_bytes;
  void* fake_stack;      // AddressSanitizer's
  void* tsan;            // ThreadSanitizer's name for it
  void (*entry)(void*);  // never returns
  void* argument;
};

// A fiber that calls entry(argument) when it is first resumed. `index` staggers the stacks.
void create_fiber(Fiber* fiber, void (*entry)(void*), void* argument, unsigned index);

// Makes `fiber` stand for the calling thread of the operating system.
void adopt_thread(Fiber* fiber);

// Leaves `from`, which must be the running fiber, and resumes `to`.
void switch_fiber(Fiber* from, Fiber* to);

}  // namespace simt
