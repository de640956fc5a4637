/* SPDX-License-Identifier: Apache-2.0 */

// Loaded in front of the C library: lets the call number SWIFTLET_FAULT of the kinds that
// SWIFTLET_FAULT_CALLS names (m: malloc, r: read, w: write, s: fsync, n: rename, p: mmap) fail.
// Reads and writes before it are short, a few bytes each, if SWIFTLET_FAULT_SHORT is set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static long target = -1, seen, is_armed;
static const char *kinds = "";
static int is_short;

__attribute__((constructor)) static void start(void) {
  const char *number = getenv("SWIFTLET_FAULT");
  const char *names = getenv("SWIFTLET_FAULT_CALLS");
  is_short = getenv("SWIFTLET_FAULT_SHORT") != NULL;
  if (names) kinds = names;
  if (number) target = atol(number);
  // Of a program that sets no handlers, calls fail from the start.
  is_armed = getenv("SWIFTLET_FAULT_ARMED") != NULL;
}

static int fails(char kind, int error) {
  if (!is_armed || target < 0 || !strchr(kinds, kind)) return 0;
  if (__atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) != target) return 0;
  errno = error;
  return 1;
}

// The command sets its handlers first. What fails before is not its own.
typedef void (*handler_t)(int);
handler_t signal(int number, handler_t handler) {
  static handler_t (*real)(int, handler_t);
  if (!real) real = (handler_t (*)(int, handler_t))dlsym(RTLD_NEXT, "signal");
  handler_t before = real(number, handler);
  if (number == SIGFPE) is_armed = 1;
  return before;
}

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

void *malloc(size_t size) { return fails('m', ENOMEM) ? NULL : __libc_malloc(size); }

void *aligned_alloc(size_t alignment, size_t size) {
  return fails('m', ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

ssize_t read(int file, void *buffer, size_t count) {
  if (file > 2 && fails('r', EIO)) return -1;
  if (file > 2 && is_short && count > 7) count = 7;
  return ((ssize_t (*)(int, void *, size_t))next("read"))(file, buffer, count);
}

ssize_t write(int file, const void *buffer, size_t count) {
  if (file > 2 && fails('w', ENOSPC)) return -1;
  if (file > 2 && is_short && count > 7) count = 7;
  return ((ssize_t (*)(int, const void *, size_t))next("write"))(file, buffer, count);
}

int fsync(int file) {
  if (fails('s', EIO)) return -1;
  return ((int (*)(int))next("fsync"))(file);
}

int renameat(int from, const char *old, int to, const char *new) {
  if (fails('n', EACCES)) return -1;
  return ((int (*)(int, const char *, int, const char *))next("renameat"))(from, old, to, new);
}

void *mmap(void *start, size_t count, int protection, int flags, int file, off_t offset) {
  if (file > 2 && fails('p', ENOMEM)) return MAP_FAILED;
  return ((void *(*)(void *, size_t, int, int, int, off_t))next("mmap"))(start, count, protection,
                                                                         flags, file, offset);
}
