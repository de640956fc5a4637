/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

static const swl_window_kernel *const kernels[] = {
#define SWL_KERNEL(isa) &swl_window__##isa,
#include "window.def"
#undef SWL_KERNEL
};

size_t swl_window_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_window_kernel *swl_window_kernel_at(size_t index) { return kernels[index]; }
