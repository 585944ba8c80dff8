#include "simt/block.h"

#include <stdarg.h>
#include <stdio.h>

#include "simt/sanitizers.h"

namespace simt {

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;
__thread Place* place = nullptr;
char launch_tag, end_tag;

namespace {

// The life of a fiber: a thread of one block after the other.
void live(void* thread_pointer) {
  Thread* thread = static_cast<Thread*>(thread_pointer);
  for (;;) {
    const Grid* grid = thread->owner->grid;
    tsan_acquire(&launch_tag);
    thread->in_kernel = true;
    try {
      grid->body(grid->arguments);
      check_departure(thread->owner, thread);
    } catch (const Abandoned&) {
    }
    thread->in_kernel = false;
    thread->state = State::kDone;
    tsan_release(&end_tag);
    switch_fiber(&thread->fiber, &thread->owner->home);
  }
}

}  // namespace

bool Block::run(const Grid& launched, uint3 block_index, uint64_t turn) {
  grid = &launched;
  index = block_index;
  count = grid->block_size.x * grid->block_size.y * grid->block_size.z;
  threads = casts[race_detector() ? blocks_run++ % 2 : 0];
  done = at_barrier = ready_head = ready_count = 0;
  idle = 0;
  abandoned = false;
  random = (settings.seed + 1) * 0x9e3779b97f4a7c15u ^ (turn + 1) * 0xd1b54a32d192ed03u;
  seat();
  shared.open(grid->shared_bytes, settings.poison);
  tsan_release(&launch_tag);  // the new shared memory, too, comes before the threads
  wake(0, count, State::kNew, ~0u);
  while (done < count && !abandoned) {
    Thread* thread = next();
    if (thread) {
      resume(thread);
    } else {
      report_deadlock();
    }
  }
  for (unsigned i = 0; abandoned && i < count; ++i) {
    if (threads[i].in_kernel) resume(&threads[i]);
  }
  const char* overrun = shared.close();
  if (overrun) {
    abandon("shared memory was written beyond the end of %s, in block %u,%u,%u", overrun, index.x,
            index.y, index.z);
  }
  return !abandoned;
}

void Block::seat() {
  const uint3 size = grid->block_size;
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = threads[i];
    if (!thread.fiber.stack) create_fiber(&thread.fiber, live, &thread, i);
    thread.owner = this;
    thread.state = State::kNew;
    thread.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    thread.lane = i % kWarp;
    thread.warp = i / kWarp;
  }
}

void Block::resume(Thread* thread) {
  place = thread;
  threadIdx = thread->index;
  blockIdx = index;
  blockDim = grid->block_size;
  gridDim = grid->size;
  patience = settings.order == Order::kRandom ? int(1 + draw(16)) : 64;
  switch_fiber(&home, &thread->fiber);
  if (thread->state == State::kDone) {
    ++done;
    idle = 0;
  }
}

void Block::suspend(Thread* thread) {
  switch_fiber(&thread->fiber, &home);
  if (abandoned) throw Abandoned{};
}

void Block::make_ready(Thread* thread) {
  thread->state = State::kReady;
  ready[(ready_head + ready_count++) % kMaxThreads] = static_cast<unsigned short>(thread - threads);
}

void Block::wake(unsigned first, unsigned number, State state, unsigned lanes) {
  for (unsigned i = 0; i < number; ++i) {
    Thread& thread = threads[first + (settings.order == Order::kReverse ? number - 1 - i : i)];
    if (thread.state == state && (lanes >> thread.lane & 1)) make_ready(&thread);
  }
}

Thread* Block::next() {
  if (ready_count == 0) return nullptr;
  unsigned short& head = ready[ready_head % kMaxThreads];
  if (settings.order == Order::kRandom) {
    unsigned short& drawn = ready[(ready_head + draw(ready_count)) % kMaxThreads];
    const unsigned short first = head;
    head = drawn;
    drawn = first;
  }
  ++ready_head;
  --ready_count;
  return &threads[head];
}

unsigned Block::draw(unsigned below) {
  random = random * 6364136223846793005u + 1442695040888963407u;
  return static_cast<unsigned>((random >> 33) % below);
}

void Block::abandon(const char* format, ...) {
  if (abandoned) return;
  abandoned = true;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
}

void Block::report_deadlock() {
  unsigned in_warp = 0;
  for (unsigned i = 0; i < count; ++i) in_warp += threads[i].state == State::kInWarp;
  abandon("deadlock: %u threads wait at a barrier, %u in a warp collective, %u have ended",
          at_barrier, in_warp, done);
}

}  // namespace simt
