/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

#if defined(__x86_64__)
#define SWL_VARIANT vnni
#define SWL_VNNI 1
#include "../lanes/avx512.h"
#include "depthwise_f32.inc"
#include "depthwise_bf16.inc"
#include "depthwise_u8.inc"
#include "pool.inc"
#endif
