/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

#define SWL_VARIANT scalar
#include "../lanes/scalar.h"
#include "depthwise_f32.inc"
#include "depthwise_bf16.inc"
#include "depthwise_u8.inc"
#include "pool.inc"
