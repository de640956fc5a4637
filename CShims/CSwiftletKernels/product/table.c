/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

static const swl_product_kernel *const kernels[] = {
#define SWL_KERNEL(types, isa) &swl_product_##types##__##isa,
#include "product.def"
#undef SWL_KERNEL
};

size_t swl_product_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_product_kernel *swl_product_kernel_at(size_t index) { return kernels[index]; }
