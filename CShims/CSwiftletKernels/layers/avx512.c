/* SPDX-License-Identifier: Apache-2.0 */

#include "layers.h"

#if defined(__x86_64__)
#define SWL_VARIANT avx512
#define SWL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "body.inc"
#endif
