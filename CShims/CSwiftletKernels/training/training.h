/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_training_kernels.h"
#include "../kernel.h"

#define SWL_KERNEL(isa) extern const swl_training_kernel swl_training__##isa;
#include "training.def"
#undef SWL_KERNEL
