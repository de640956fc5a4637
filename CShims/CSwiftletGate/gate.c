/* SPDX-License-Identifier: Apache-2.0 */

#include "swiftlet_gate.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

static int (*get_threads)(void);
static void (*set_threads)(int);

/* The number of threads inside. While `changing` is set, one of them changes the thread count,
 * and all others wait. */
static _Alignas(64) atomic_ulong inside;
static const unsigned long changing = 1UL << 32;
/* Waiting or active forks: no thread may enter until they are done. */
static _Alignas(64) atomic_int forks;

/* Guarded by `changing`: the thread count to restore, and the one we set. */
static int found, ours;

/* The highest number of threads inside at the same time, and of threads that OpenBLAS used for
 * one of them: it keeps a buffer for each from then on. `widest` is guarded by `turn`. */
static atomic_ulong most;
static int widest = 1;

/* The nesting depth of the thread. A signal may interrupt a call, and its handler may fork. */
static _Thread_local int depth;
static _Thread_local bool waited;
/* Calls that may use several threads take turns. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* Yields, for increasing times. */
static void hesitate(int *rounds) {
  if (++*rounds < 64) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  } else if (*rounds < 128) {
    sched_yield();
  } else {
    struct timespec pause = {0, 100000};
    nanosleep(&pause, NULL);
  }
}

bool swl_gate_has_room(int buffers) {
  /* 128 MB for a buffer, plus a thread's stack and malloc arena. Most of it is never touched:
   * the limit is address space. */
  size_t size = (size_t)buffers * (256UL << 20);
  void *start =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return false;
  munmap(start, size);
  return true;
}

/* Whether another thread besides `count` may enter: without memory for another buffer, one has
 * to leave first. */
static bool may_join(unsigned long count) {
  unsigned long known = atomic_load_explicit(&most, memory_order_relaxed);
  if (count < known) return true;
  if (!swl_gate_has_room(1)) return false;
  atomic_compare_exchange_strong(&most, &known, count + 1);
  return true;
}

/* Sets the thread count. If it differs from the one we set, the host program has changed it. */
static void choose(int threads) {
  int now = get_threads();
  if (now != ours) found = now;
  if (now != threads) set_threads(threads);
  ours = get_threads();
}

static void leave(void) {
  int rounds = 0;
  unsigned long count = atomic_load(&inside);
  for (;;) {
    if (count & changing) {
      hesitate(&rounds);
      count = atomic_load(&inside);
    } else if (count > 1) {
      if (atomic_compare_exchange_weak(&inside, &count, count - 1)) return;
    } else if (atomic_compare_exchange_weak(&inside, &count, changing | 1)) {
      if (found != ours && get_threads() == ours) set_threads(found);
      atomic_store_explicit(&inside, 0, memory_order_release);
      return;
    }
  }
}

void swl_gate_enter(void) {
  if (depth++ > 0) return;
  int rounds = 0;
  for (;;) {
    unsigned long count = atomic_load(&inside);
    if (count & changing || atomic_load(&forks) > 0) {
      hesitate(&rounds);
    } else if (count == 0) {
      if (!atomic_compare_exchange_weak(&inside, &count, changing | 1)) continue;
      bool forking = atomic_load(&forks) > 0;
      if (!forking) {
        found = ours = get_threads();
        choose(1);
      }
      atomic_store_explicit(&inside, forking ? 0 : 1, memory_order_release);
      if (!forking) return;
    } else if (!may_join(count)) {
      hesitate(&rounds);
    } else if (atomic_compare_exchange_weak(&inside, &count, count + 1)) {
      if (atomic_load(&forks) == 0) return;
      leave();
    }
  }
}

void swl_gate_leave(void) {
  if (--depth == 0) leave();
}

/* Changes the thread count while the caller is inside. */
static void change(int threads) {
  int rounds = 0;
  unsigned long count = atomic_load(&inside);
  while (count & changing || !atomic_compare_exchange_weak(&inside, &count, count | changing)) {
    hesitate(&rounds);
    count = atomic_load(&inside);
  }
  choose(threads);
  atomic_store_explicit(&inside, count, memory_order_release);
}

void swl_gate_enter_wide(int threads) {
  pthread_mutex_lock(&turn);
  if (threads > widest) {
    if (swl_gate_has_room(threads - widest)) {
      widest = threads;
    } else {
      threads = widest;
    }
  }
  swl_gate_enter();
  change(threads);
}

void swl_gate_leave_wide(void) {
  change(1);
  swl_gate_leave();
  pthread_mutex_unlock(&turn);
}

static void before_fork(void) {
  waited = depth == 0;
  if (!waited) return;
  atomic_fetch_add(&forks, 1);
  for (int rounds = 0; atomic_load(&inside) != 0;) hesitate(&rounds);
}

static void after_fork_in_parent(void) {
  if (waited) atomic_fetch_sub(&forks, 1);
}

/* Only this thread exists in the child. */
static void after_fork_in_child(void) {
  atomic_store(&forks, 0);
  atomic_store(&inside, depth > 0);
  pthread_mutex_init(&turn, NULL);
}

void swl_gate_install(int (*threads)(void), void (*set)(int)) {
  get_threads = threads;
  set_threads = set;
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
