/* SPDX-License-Identifier: Apache-2.0 */

#include "winograd.h"

static const swl_winograd_kernel *const kernels[] = {
#define SWL_KERNEL(isa) &swl_winograd__##isa,
#include "winograd.def"
#undef SWL_KERNEL
};

size_t swl_winograd_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_winograd_kernel *swl_winograd_kernel_at(size_t index) { return kernels[index]; }
