// Barriers, warp collectives and atomics: where the threads of a block meet.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "simt/block.h"
#include "simt/sanitizers.h"

namespace simt {
namespace {

constexpr int kMaxIdle = 1 << 18;

char fence_tag;

Thread* running() {
  return static_cast<Thread*>(place);
}

bool same(Site a, Site b) {
  return a.line == b.line && strcmp(a.file, b.file) == 0;
}

// The last warp of a block may be short.
unsigned lanes_in_warp(const Block* block, const Thread* thread) {
  const unsigned left = block->count - thread->warp * kWarp;
  return left < kWarp ? left : kWarp;
}

unsigned existing_lanes(const Block* block, const Thread* thread) {
  return ~0u >> (kWarp - lanes_in_warp(block, thread));
}

// Calls visit(thread) for the lanes of a warp.
template <class Visit>
void for_lanes(Block* block, unsigned warp, unsigned lanes, Visit visit) {
  for (; lanes; lanes &= lanes - 1) visit(block->threads[warp * kWarp + __builtin_ctz(lanes)]);
}

// Brings the running thread to a collective of its warp. Returns when all lanes of `mask` are
// there; the last one to come calls finish(first thread of the warp, lanes) on behalf of all.
template <class Finish>
unsigned long long meet(unsigned mask, unsigned long long value, bool orders_memory, Site site,
                        Finish finish) {
  Thread* me = running();
  Block* block = me->owner;
  const unsigned lanes = mask & existing_lanes(block, me);
  if (!(mask >> me->lane & 1)) fail(site, "the calling lane is not in its mask %08x", mask);
  if (mask != ~0u && mask != lanes) fail(site, "the mask %08x names absent lanes", mask);
  block->idle = 0;
  me->site = site;
  me->mask = mask;
  me->value = value;
  me->tag = nullptr;
  unsigned there = 1u << me->lane;
  for_lanes(block, me->warp, lanes & ~there, [&](Thread& other) {
    if (other.state == State::kDone) {
      fail(site, "lane %u, named in the mask %08x, has ended", other.lane, mask);
    }
    if (other.state != State::kInWarp) return;
    if (other.mask == mask && same(other.site, site)) {
      there |= 1u << other.lane;
      me->tag = other.tag;
    } else if (other.mask >> me->lane & 1) {
      fail(site, "mask %08x, while lane %u waits at line %d with mask %08x", mask, other.lane,
           other.site.line, other.mask);
    }
  });
  if (orders_memory) {
    if (!me->tag) me->tag = block->shared.fresh_tag();
    tsan_release(me->tag);
  }
  me->state = State::kInWarp;
  if (there == lanes) {
    finish(&block->threads[me->warp * kWarp], lanes);
    block->wake(me->warp * kWarp, lanes_in_warp(block, me), State::kInWarp, lanes);
  }
  block->suspend(me);
  if (orders_memory) tsan_acquire(me->tag);
  return me->result;
}

}  // namespace

BlockVote sync_block(bool predicate, Site site) {
  Thread* me = running();
  Block* block = me->owner;
  block->idle = 0;
  if (block->done > 0) fail(site, "a barrier that %u threads, which have ended, miss", block->done);
  me->site = site;
  if (block->at_barrier == 0) {
    block->vote = {0, 1, 0};
    block->barrier_site = site;
    block->barrier_tag = block->shared.fresh_tag();
  } else if (!same(block->barrier_site, site)) {
    fail(site, "a barrier, while %u threads wait at the one of line %d", block->at_barrier,
         block->barrier_site.line);
  }
  block->vote.any |= predicate;
  block->vote.all &= predicate;
  block->vote.count += predicate;
  me->tag = block->barrier_tag;
  me->state = State::kAtBarrier;
  tsan_release(me->tag);
  if (++block->at_barrier == block->count) {
    block->at_barrier = 0;
    for (unsigned i = 0; i < block->count; ++i) block->threads[i].vote = block->vote;
    block->wake(0, block->count, State::kAtBarrier, ~0u);
  }
  block->suspend(me);
  tsan_acquire(me->tag);
  return me->vote;
}

void sync_warp(unsigned mask, Site site) {
  meet(mask, 0, true, site, [](Thread*, unsigned) {});
}

unsigned ballot(unsigned mask, bool predicate, Site site) {
  const auto count_votes = [](Thread* warp, unsigned lanes) {
    unsigned votes = 0;
    for (unsigned i = 0; i < kWarp; ++i) {
      if (lanes >> i & 1) votes |= static_cast<unsigned>(warp[i].value) << i;
    }
    for (unsigned i = 0; i < kWarp; ++i) {
      if (lanes >> i & 1) warp[i].result = votes;
    }
  };
  return static_cast<unsigned>(meet(mask, predicate, false, site, count_votes));
}

unsigned match(unsigned mask, unsigned long long value, Site site) {
  const auto compare = [](Thread* warp, unsigned lanes) {
    for (unsigned i = 0; i < kWarp; ++i) {
      if (!(lanes >> i & 1)) continue;
      warp[i].result = 0;
      for (unsigned k = 0; k < kWarp; ++k) {
        if ((lanes >> k & 1) && warp[k].value == warp[i].value) warp[i].result |= 1u << k;
      }
    }
  };
  return static_cast<unsigned>(meet(mask, value, false, site, compare));
}

unsigned long long shuffle(unsigned mask, unsigned long long value, int source_lane, Site site) {
  running()->source_lane = source_lane;
  return meet(mask, value, false, site, [](Thread* warp, unsigned lanes) {
    for (unsigned i = 0; i < kWarp; ++i) {
      if (!(lanes >> i & 1)) continue;
      const int source = warp[i].source_lane;
      // From a lane outside of the mask anything may come.
      warp[i].result =
          lanes >> source & 1 ? warp[source].value : 0x0101010101010101u * settings.poison;
    }
  });
}

void check_departure(Block* block, Thread* thread) {
  if (block->at_barrier > 0) {
    fail(block->barrier_site, "a thread ends while %u wait at a barrier", block->at_barrier);
  }
  for_lanes(block, thread->warp, existing_lanes(block, thread), [&](Thread& other) {
    if (other.state == State::kInWarp && (other.mask >> thread->lane & 1)) {
      fail(other.site, "lane %u ends, which the mask %08x names", thread->lane, other.mask);
    }
  });
}

void atomic_point() {
  Thread* me = running();
  Block* block = me->owner;
  if (--block->patience > 0) return;
  if (++block->idle > kMaxIdle)
    fail(Site::here(), "threads spin on atomics, and none gets further");
  block->make_ready(me);
  block->suspend(me);
}

// One tag for all fences: it may hide a race, and never invents one.
void memory_fence() {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  tsan_acquire(&fence_tag);
  tsan_release(&fence_tag);
}

void* shared_array(const void* key, const char* name, size_t bytes, size_t alignment, Site site) {
  void* array = running()->owner->shared.array(key, name, bytes, alignment);
  if (!array)
    fail(site, "%s: a block has at most %zu bytes of shared memory", name, kMaxSharedBytes);
  return array;
}

void* dynamic_shared() {
  return running()->owner->shared.dynamic();
}

void fail(Site site, const char* format, ...) {
  char what[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  const char* folder_end = strrchr(site.file, '/');
  running()->owner->abandon("%s:%d: %s (block %u,%u,%u thread %u,%u,%u)",
                            folder_end ? folder_end + 1 : site.file, site.line, what, blockIdx.x,
                            blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
  throw Abandoned{};
}

}  // namespace simt
