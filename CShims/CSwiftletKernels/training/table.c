/* SPDX-License-Identifier: Apache-2.0 */

#include "training.h"

static const swl_training_kernel *const kernels[] = {
#define SWL_KERNEL(isa) &swl_training__##isa,
#include "training.def"
#undef SWL_KERNEL
};

size_t swl_training_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_training_kernel *swl_training_kernel_at(size_t index) { return kernels[index]; }
