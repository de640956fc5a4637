/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_pointwise_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(isa) extern const swl_pointwise_kernel swl_pointwise__##isa;
#include "pointwise.def"
#undef SWL_KERNEL
