/* SPDX-License-Identifier: Apache-2.0 */

/* What the thread sanitizer does not see of Swift's Mutex.
 *
 * A lock that is free is taken by atomics, which are inlined where they are instrumented. One that
 * has to be waited for is taken and given back in libswiftSynchronization, by the kernel's futexes,
 * which is not instrumented: to the sanitizer it looks as if it were not held (Swift 6.3.1). These
 * functions stand before the library's own, call them, and tell the sanitizer.
 *
 * They are linked into what runs under the sanitizer; see `make test-tsan` and mutex.sh. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

/* Methods of Swift's have `self` in a register of its own. */
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

static void *following(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) abort();
  return function;
}

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void lock_slow(uint32_t thread, SELF) {
  SWIFT void (*lock)(uint32_t, SELF) = following(LOCK);
  lock(thread, self);
  if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT bool try_lock_slow(SELF) __asm__(TRY);
SWIFT bool try_lock_slow(SELF) {
  SWIFT bool (*try_lock)(SELF) = following(TRY);
  bool taken = try_lock(self);
  if (taken && __tsan_acquire) __tsan_acquire(self);
  return taken;
}

SWIFT void unlock_slow(SELF) __asm__(UNLOCK);
SWIFT void unlock_slow(SELF) {
  SWIFT void (*unlock)(SELF) = following(UNLOCK);
  if (__tsan_release) __tsan_release(self);
  unlock(self);
}
