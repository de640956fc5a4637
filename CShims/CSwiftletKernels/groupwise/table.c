/* SPDX-License-Identifier: Apache-2.0 */

#include "groupwise.h"

static const swl_groupwise_kernel *const kernels[] = {
#define SWL_KERNEL(types, isa) &swl_groupwise_##types##__##isa,
#include "groupwise.def"
#undef SWL_KERNEL
};

size_t swl_groupwise_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_groupwise_kernel *swl_groupwise_kernel_at(size_t index) { return kernels[index]; }
