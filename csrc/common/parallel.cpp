#include "common/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace mtl {
namespace {

// One parallel_for: indices are taken in order from a shared counter.
struct Job {
  Job(int64_t count, const std::function<void(int64_t)>& body) : count(count), body(&body) {}

  const int64_t count;
  const std::function<void(int64_t)>* const body;
  std::atomic<int64_t> next{0};
  std::mutex error_mutex;
  std::exception_ptr error;

  void work() {
    for (;;) {
      const int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      try {
        (*body)(index);
      } catch (...) {
        std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(count, std::memory_order_relaxed);
      }
    }
  }
};

class Pool {
 public:
  // Held by the caller whose job the workers run.
  std::mutex owner;

  void run(Job& job, int helpers) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (size_ < helpers) {
        std::thread(&Pool::serve, this).detach();
        ++size_;
      }
      job_ = &job;
      wanted_ = helpers;
    }
    wake_.notify_all();
    job.work();
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // helpers that have not woken yet need not
    done_.wait(lock, [this] { return busy_ == 0; });
    job_ = nullptr;
  }

 private:
  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return wanted_ > 0; });
      --wanted_;
      ++busy_;
      Job* job = job_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  int size_ = 0;    // threads started
  int wanted_ = 0;  // helpers the current job still asks for
  int busy_ = 0;    // helpers at work on it
};

// Never destroyed: its detached threads outlive static destructors. A forked child forgets its
// parent's pool, whose threads it does not have and whose mutexes may be locked.
std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  Pool* existing = current_pool.load();
  if (existing) return *existing;
#if defined(__unix__) || defined(__APPLE__)
  static const int registered = pthread_atfork(nullptr, nullptr, [] { current_pool = nullptr; });
  (void)registered;
#endif
  Pool* created = new Pool;
  if (current_pool.compare_exchange_strong(existing, created)) return *created;
  delete created;
  return *existing;
}

}  // namespace

void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& body) {
  const int helpers = static_cast<int>(std::min<int64_t>(threads, count)) - 1;
  Job job(count, body);
  if (helpers > 0) {
    Pool& shared = pool();
    std::unique_lock<std::mutex> owner(shared.owner, std::try_to_lock);
    if (owner.owns_lock()) {
      shared.run(job, helpers);
    } else {
      job.work();
    }
  } else {
    job.work();
  }
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace mtl
