/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of the Swift implementation that are in C: thread-local memory, and the threads
 * inside a call when the process forks. Not installed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Stores a copy of the text, truncated if necessary, as the calling thread's last error. */
void swl_set_last_error(const char *text, size_t length);
const char *swl_last_error(void);

/* Between the two a thread is inside a call.
 *
 * Returns false, and needs no matching end, in the child of a process that forked while other
 * threads were inside calls: their locks are held forever. */
bool swl_call_begin(void);
void swl_call_end(void);
