/* SPDX-License-Identifier: Apache-2.0 */

#include "layers.h"

#if defined(__x86_64__)
#define SWL_VARIANT avx2
#define SWL_TARGET __attribute__((target("avx2")))
#include "body.inc"
#endif
