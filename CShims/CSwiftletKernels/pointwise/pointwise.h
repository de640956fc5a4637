/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_kernels.h"

/* Each variant fills in one table. */
#define SWL_POINTWISE_KERNEL(variant, isa) \
  extern const swl_pointwise_kernel swl_pointwise__##variant;
#include "pointwise.def"
#undef SWL_POINTWISE_KERNEL
