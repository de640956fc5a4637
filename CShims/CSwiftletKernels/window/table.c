/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

static const swl_window_kernel kernels[] = {
#define SWL_WINDOW_KERNEL(variant, isa, feature) \
  {#variant,                             \
   isa,                                  \
   feature,                              \
   swl_depthwise_f32__##variant,         \
   swl_depthwise_bf16__##variant,        \
   swl_depthwise_u8_u8__##variant,       \
   swl_depthwise_u8_f32__##variant,      \
   swl_max_pool_f32__##variant,          \
   swl_max_pool_bf16__##variant,         \
   swl_max_pool_u8__##variant,           \
   swl_average_pool_f32__##variant,      \
   swl_average_pool_bf16__##variant,     \
   swl_average_pool_u8__##variant},
#include "window.def"
#undef SWL_WINDOW_KERNEL
};

size_t swl_window_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_window_kernel *swl_window_kernel_at(size_t index) { return &kernels[index]; }
