/* SPDX-License-Identifier: Apache-2.0 */

#include <math.h>

#include "quantize.h"

/* The quotient is clamped before it is rounded: it then fits an int32 whatever x is. The clamp is
 * wider than any type's range by the largest zero point, so that it changes no result. */
static inline int32_t quantized(float x, float scale, int32_t zero_point, int32_t low,
                                int32_t high) {
  float quotient = x / scale;
  if (isnan(quotient)) return zero_point;
  quotient = fminf(fmaxf(quotient, -1024.0f), 1024.0f);
  int32_t q = (int32_t)nearbyintf(quotient) + zero_point;
  return q < low ? low : q > high ? high : q;
}

static void quantize_f32_u8(size_t count, const float *x, float scale, int32_t zero_point,
                            uint8_t *q) {
  for (size_t i = 0; i < count; i++) q[i] = (uint8_t)quantized(x[i], scale, zero_point, 0, 255);
}

static void quantize_f32_s8(size_t count, const float *x, float scale, int32_t zero_point,
                            int8_t *q) {
  for (size_t i = 0; i < count; i++) q[i] = (int8_t)quantized(x[i], scale, zero_point, -128, 127);
}

static void dequantize_u8_f32(size_t count, const uint8_t *q, float scale, int32_t zero_point,
                              float *x) {
  for (size_t i = 0; i < count; i++) x[i] = (float)(q[i] - zero_point) * scale;
}

static void dequantize_s8_f32(size_t count, const int8_t *q, float scale, int32_t zero_point,
                              float *x) {
  for (size_t i = 0; i < count; i++) x[i] = (float)(q[i] - zero_point) * scale;
}

const swl_quantize_kernel swl_quantize__scalar = {
    SWL_HEAD(scalar),
    .quantize_f32_u8 = quantize_f32_u8,
    .quantize_f32_s8 = quantize_f32_s8,
    .dequantize_u8_f32 = dequantize_u8_f32,
    .dequantize_s8_f32 = dequantize_s8_f32,
};
