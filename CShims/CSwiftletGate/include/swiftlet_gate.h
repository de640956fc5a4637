/* SPDX-License-Identifier: Apache-2.0 */

/* The gate to OpenBLAS, which all threads of the process share with its other users. Not
 * installed.
 *
 * OpenBLAS has one thread count for the process, which the host program may have set. While any
 * of our threads is inside, it is 1, or the number requested by the one call that may use
 * several; the last thread out restores it. A fork waits until all of ours are out: OpenBLAS
 * ends its threads before a fork, and calls that use them would wait forever. */
#pragma once
#include <stdbool.h>

/* Whether the system has memory for this many of the buffers that OpenBLAS keeps for each thread
 * inside: without memory, OpenBLAS waits forever. One must be available before any thread
 * enters; the gate checks the others, and admits fewer threads if they are unavailable. */
bool swl_gate_has_room(int buffers);

/* Provides OpenBLAS's functions to read and set its thread count. Call it once, before any
 * thread enters and after OpenBLAS was loaded: fork handlers run in reverse order of
 * registration. */
void swl_gate_install(int (*threads)(void), void (*set_threads)(int));

/* Enclose OpenBLAS computations on the calling thread, but nothing that waits for other threads.
 * Pairs may be nested. */
void swl_gate_enter(void);
void swl_gate_leave(void);

/* As above, for calls that may use several threads; one such call at a time. Concurrent calls
 * inside may use as many. */
void swl_gate_enter_wide(int threads);
void swl_gate_leave_wide(void);
