/* SPDX-License-Identifier: Apache-2.0 */

#include "swiftlet_calls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* An error line has up to 380 characters of up to four bytes. */
static _Thread_local char last_error[1536];

void swl_set_last_error(const char *text, size_t length) {
  if (length >= sizeof last_error) {
    length = sizeof last_error - 1;
    /* Do not cut inside a character. */
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
  }
  memcpy(last_error, text, length);
  last_error[length] = '\0';
}

const char *swl_last_error(void) { return last_error; }

static atomic_long inside;
static atomic_bool abandoned;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void after_fork(void) {
  if (atomic_load(&inside) != 0) atomic_store(&abandoned, true);
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

bool swl_call_begin(void) {
  pthread_once(&once, watch_forks);
  if (atomic_load_explicit(&abandoned, memory_order_relaxed)) return false;
  atomic_fetch_add(&inside, 1);
  return true;
}

void swl_call_end(void) { atomic_fetch_sub(&inside, 1); }
