/* SPDX-License-Identifier: Apache-2.0 */

#include "layers.h"

static const swl_layer_kernel kernels[] = {
#define SWL_LAYER_KERNEL(variant, isa)        \
  {#variant,                                  \
   isa,                                       \
   swl_add_f32__##variant,                    \
   swl_sum_f32__##variant,                    \
   swl_relu_f32__##variant,                   \
   swl_relu_gradient_f32__##variant,          \
   swl_max_pool2_f32__##variant,              \
   swl_max_pool2_gradient_f32__##variant},
#include "layers.def"
#undef SWL_LAYER_KERNEL
};

size_t swl_layer_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_layer_kernel *swl_layer_kernel_at(size_t index) { return &kernels[index]; }
