/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_winograd_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(isa) extern const swl_winograd_kernel swl_winograd__##isa;
#include "winograd.def"
#undef SWL_KERNEL
