/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

static const swl_pointwise_kernel *const kernels[] = {
#define SWL_KERNEL(isa) &swl_pointwise__##isa,
#include "pointwise.def"
#undef SWL_KERNEL
};

size_t swl_pointwise_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_pointwise_kernel *swl_pointwise_kernel_at(size_t index) { return kernels[index]; }
