/* SPDX-License-Identifier: Apache-2.0 */

#include "quantize.h"

static const swl_quantize_kernel *const kernels[] = {
#define SWL_KERNEL(isa) &swl_quantize__##isa,
#include "quantize.def"
#undef SWL_KERNEL
};

size_t swl_quantize_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_quantize_kernel *swl_quantize_kernel_at(size_t index) { return kernels[index]; }
