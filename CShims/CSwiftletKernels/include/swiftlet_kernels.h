/* SPDX-License-Identifier: Apache-2.0 */

/* SIMD kernels that BLAS lacks, and CPU detection.
 *
 * Kernels take raw pointers and sizes in elements, do not know tensors, allocate nothing and never
 * read out of bounds. Names: swl_<op>_<types>__<isa>. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"
#include "swiftlet_groupwise_kernels.h"
#include "swiftlet_product_kernels.h"
#include "swiftlet_winograd_kernels.h"

/* q[i] = saturate(roundTiesToEven(x[i] / scale) + zero_point); NaN gives zero_point. The limits
 * are those of the type. All variants agree bit for bit. */
typedef void (*swl_quantize_f32_u8_fn)(size_t count, const float *x, float scale,
                                       int32_t zero_point, uint8_t *q);
typedef void (*swl_quantize_f32_s8_fn)(size_t count, const float *x, float scale,
                                       int32_t zero_point, int8_t *q);
/* x[i] = (q[i] - zero_point) * scale. */
typedef void (*swl_dequantize_u8_f32_fn)(size_t count, const uint8_t *q, float scale,
                                         int32_t zero_point, float *x);
typedef void (*swl_dequantize_s8_f32_fn)(size_t count, const int8_t *q, float scale,
                                         int32_t zero_point, float *x);

/* One variant of the family. */
typedef struct {
  const char *name;
  swl_isa isa;
  swl_quantize_f32_u8_fn quantize_u8;
  swl_quantize_f32_s8_fn quantize_s8;
  swl_dequantize_u8_f32_fn dequantize_u8;
  swl_dequantize_s8_f32_fn dequantize_s8;
} swl_quantize_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_quantize_kernel_count(void);
const swl_quantize_kernel *swl_quantize_kernel_at(size_t index);

/* Memory-bound layers on fp32. All variants agree bit for bit. */
typedef struct {
  const char *name;
  swl_isa isa;
  /* y[i] += x[i]. */
  void (*add)(size_t count, const float *x, float *y);
  /* Sixteen interleaved partial sums, added in order. */
  float (*sum)(size_t count, const float *x);
  /* x[i] = x[i] < 0 ? 0 : x[i]. */
  void (*relu)(size_t count, float *x);
  /* slope[i] = y[i] > 0 ? slope[i] : 0. */
  void (*relu_gradient)(size_t count, const float *y, float *slope);
  /* The largest value of each 2x2 window of a plane of 2 height x 2 width; NaN if it has one. */
  void (*max_pool2)(size_t height, size_t width, const float *x, float *y);
  /* Passes each gradient to the first of its four positions that holds the maximum; the others get
   * 0. */
  void (*max_pool2_gradient)(size_t height, size_t width, const float *x, const float *slope,
                             float *dx);
} swl_layer_kernel;

size_t swl_layer_kernel_count(void);
const swl_layer_kernel *swl_layer_kernel_at(size_t index);

#include "swiftlet_window_kernels.h"
#include "swiftlet_pointwise_kernels.h"
