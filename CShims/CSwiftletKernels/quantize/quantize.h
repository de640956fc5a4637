/* SPDX-License-Identifier: Apache-2.0 */

#pragma once
#include "../include/swiftlet_kernels.h"

#define SWL_QUANTIZE_KERNEL(variant, isa)                                                        \
  void swl_quantize_f32_u8__##variant(size_t, const float *, float, int32_t, uint8_t *);         \
  void swl_quantize_f32_s8__##variant(size_t, const float *, float, int32_t, int8_t *);          \
  void swl_dequantize_u8_f32__##variant(size_t, const uint8_t *, float, int32_t, float *);       \
  void swl_dequantize_s8_f32__##variant(size_t, const int8_t *, float, int32_t, float *);
#include "quantize.def"
#undef SWL_QUANTIZE_KERNEL
