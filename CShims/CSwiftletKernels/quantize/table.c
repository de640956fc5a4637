/* SPDX-License-Identifier: Apache-2.0 */

#include "quantize.h"

static const swl_quantize_kernel kernels[] = {
#define SWL_QUANTIZE_KERNEL(variant, isa)                             \
  {#variant,                                                          \
   isa,                                                               \
   swl_quantize_f32_u8__##variant,                                    \
   swl_quantize_f32_s8__##variant,                                    \
   swl_dequantize_u8_f32__##variant,                                  \
   swl_dequantize_s8_f32__##variant},
#include "quantize.def"
#undef SWL_QUANTIZE_KERNEL
};

size_t swl_quantize_kernel_count(void) { return sizeof kernels / sizeof kernels[0]; }

const swl_quantize_kernel *swl_quantize_kernel_at(size_t index) { return &kernels[index]; }
