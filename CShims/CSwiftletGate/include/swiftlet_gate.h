/* The way into OpenBLAS, which all threads of the process share with whoever else uses it. Not installed.
 *
 * OpenBLAS has one number of threads for the process, and the program around us may have set it. While any
 * thread of ours is inside, it is 1, or what the one call that may use several asked for; the last one out puts
 * it back. A fork waits until all of ours are out: OpenBLAS ends its threads then, and what they were working
 * on would wait for them for ever. */
#pragma once
#include <stdbool.h>

/* Whether the system has memory for so many of the buffers that OpenBLAS keeps for each thread inside: where it
 * has none, OpenBLAS waits for ever. One must be there before anyone enters; the gate sees to the others, and
 * lets fewer threads in where they are not to be had. */
bool swl_gate_has_room(int buffers);

/* Tells how OpenBLAS says and changes its number of threads. Once, before anyone enters, and after OpenBLAS
 * was loaded: what is told of a fork last hears of it first. */
void swl_gate_install(int (*threads)(void), void (*set_threads)(int));

/* Around what OpenBLAS computes on the calling thread, and around nothing that waits for other threads. Pairs
 * may be nested. */
void swl_gate_enter(void);
void swl_gate_leave(void);

/* As above, for what may use several threads; one such call at a time. Others inside may use as many
 * meanwhile. */
void swl_gate_enter_wide(int threads);
void swl_gate_leave_wide(void);
