/* What the implementation in Swift keeps in C: thread-local memory, and who is inside of a call when
 * the process forks. Not installed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Keeps a copy of the text, cut to what fits, as the calling thread's last error. */
void swl_set_last_error(const char *text, size_t length);
const char *swl_last_error(void);

/* Between the two a thread is inside of a call.
 *
 * Returns false, with nothing to be ended, in the child of a process that forked while other threads
 * were inside of calls: what they held locked stays so for ever. */
bool swl_call_begin(void);
void swl_call_end(void);
