/* SPDX-License-Identifier: Apache-2.0 */

/* Conversion between fp32 and 8-bit integers. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"

/* All kernels agree bit for bit. */
typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  /* q[i] = saturate(roundTiesToEven(x[i] / scale) + zero_point); NaN gives zero_point. The limits
   * are those of the type. */
  void (*quantize_f32_u8)(size_t count, const float *x, float scale, int32_t zero_point,
                          uint8_t *q);
  void (*quantize_f32_s8)(size_t count, const float *x, float scale, int32_t zero_point, int8_t *q);
  /* x[i] = (q[i] - zero_point) * scale. */
  void (*dequantize_u8_f32)(size_t count, const uint8_t *q, float scale, int32_t zero_point,
                            float *x);
  void (*dequantize_s8_f32)(size_t count, const int8_t *q, float scale, int32_t zero_point,
                            float *x);
} swl_quantize_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_quantize_kernel_count(void);
const swl_quantize_kernel *swl_quantize_kernel_at(size_t index);
