/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_quantize_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(isa) extern const swl_quantize_kernel swl_quantize__##isa;
#include "quantize.def"
#undef SWL_KERNEL
