/* SPDX-License-Identifier: Apache-2.0 */

#include "training.h"

#if defined(__x86_64__)
#define SWL_TARGET __attribute__((target("avx2")))
#include "body.inc"

const swl_training_kernel swl_training__avx2 = {SWL_HEAD(avx2), SWL_FUNCTIONS};
#endif
