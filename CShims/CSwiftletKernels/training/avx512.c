/* SPDX-License-Identifier: Apache-2.0 */

#include "training.h"

#if defined(__x86_64__)
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "body.inc"

const swl_training_kernel swl_training__avx512 = {SWL_HEAD(avx512), SWL_FUNCTIONS};
#endif
