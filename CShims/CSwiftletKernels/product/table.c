/* SPDX-License-Identifier: Apache-2.0 */

#include "product.h"

static const swl_product_kernel *const kernels[] = {
#define SWL_PRODUCT_KERNEL(variant) &swl_product_##variant,
#include "product.def"
#undef SWL_PRODUCT_KERNEL
};

size_t swl_product_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_product_kernel *swl_product_kernel_at(size_t index) { return kernels[index]; }
