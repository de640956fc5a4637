/* SPDX-License-Identifier: Apache-2.0 */

#include "winograd.h"

static const swl_winograd_kernel kernels[] = {
#define SWL_WINOGRAD_KERNEL(variant, isa) \
  {#variant, isa, swl_winograd_analyze__##variant, swl_winograd_synthesize__##variant, \
   swl_winograd_weights__##variant},
#include "winograd.def"
#undef SWL_WINOGRAD_KERNEL
};

size_t swl_winograd_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_winograd_kernel *swl_winograd_kernel_at(size_t index) { return &kernels[index]; }
