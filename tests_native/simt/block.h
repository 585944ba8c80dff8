// One block of threads on its way: who can run, who waits for whom, who is done.
#pragma once

#include <cstdint>

#include "simt/fiber.h"
#include "simt/scheduler.h"
#include "simt/settings.h"
#include "simt/shared_memory.h"

namespace simt {

constexpr unsigned kMaxThreads = 1024, kWarp = 32;

enum class State : unsigned char { kNew, kReady, kAtBarrier, kInWarp, kDone };

struct Block;

struct Thread : Place {
  uint3 index;
  Fiber fiber;
  Block* owner;
  State state;
  bool in_kernel;
  // What it brought to the collective that it waits in ...
  Site site;
  unsigned mask;
  int source_lane;
  unsigned long long value;
  void* tag;  // the race detector's, if the collective orders memory
  // ... and what it takes from there.
  unsigned long long result;
  BlockVote vote;
};

// A kernel and its launch.
struct Grid {
  void (*body)(void*);
  void* arguments;
  uint3 size, block_size;
  size_t shared_bytes;
};

// Where one thread of the operating system runs blocks, one after the other. Never freed: fibers
// are dear. While races are looked for, consecutive blocks have different fibers, since a fiber is
// always in order with itself.
struct Block {
  Fiber home;  // the thread of the operating system, which runs the scheduling loop
  Thread* casts[2];
  Thread* threads;
  const Grid* grid;
  uint3 index;
  unsigned blocks_run;
  unsigned count, done, at_barrier;
  unsigned short ready[kMaxThreads];  // a ring
  unsigned ready_head, ready_count;
  BlockVote vote;  // of those who have come to the barrier
  Site barrier_site;
  void* barrier_tag;
  int patience;  // atomics until the running thread lets go
  int idle;      // times this happened since a thread got further
  uint64_t random;
  bool abandoned;
  char message[512];
  SharedMemory shared;

  // Runs the block of this index, as the turn-th of its grid. False: it was abandoned, and
  // `message` says why.
  bool run(const Grid& grid, uint3 index, uint64_t turn);

  // Readies those of threads[first], ... that wait in `state` and whose lane is in `lanes`.
  void wake(unsigned first, unsigned number, State state, unsigned lanes);
  void make_ready(Thread* thread);
  // Lets other threads run until somebody readies the calling one.
  void suspend(Thread* thread);
  void abandon(const char* format, ...) __attribute__((format(printf, 2, 3)));
  unsigned draw(unsigned below);

 private:
  void seat();
  Thread* next();
  void resume(Thread* thread);
  void report_deadlock();
};

// What a fiber throws to get out of a kernel whose block is abandoned.
struct Abandoned {};

// A thread may not end while others wait for it.
void check_departure(Block* block, Thread* thread);

extern char launch_tag, end_tag;  // order a launch before its threads, and these before its end

}  // namespace simt
