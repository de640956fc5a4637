/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_window_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(isa) extern const swl_window_kernel swl_window__##isa;
#include "window.def"
#undef SWL_KERNEL
