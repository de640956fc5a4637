/* SPDX-License-Identifier: Apache-2.0 */

/* What training spends its time on beside matrix products, forward and backward: memory-bound
 * operations on contiguous arrays and planes of fp32. */
#pragma once
#include <stddef.h>

#include "swiftlet_isa.h"

/* All kernels agree bit for bit. */
typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  /* y[i] += x[i]. */
  void (*add_f32)(size_t count, const float *x, float *y);
  /* Sixteen interleaved partial sums, added in order. */
  float (*sum_f32)(size_t count, const float *x);
  /* x[i] = x[i] < 0 ? 0 : x[i]. */
  void (*relu_f32)(size_t count, float *x);
  /* slope[i] = y[i] > 0 ? slope[i] : 0. */
  void (*relu_gradient_f32)(size_t count, const float *y, float *slope);
  /* The largest value of each 2x2 window of a plane of 2 height x 2 width; NaN if it has one. */
  void (*max_pool2_f32)(size_t height, size_t width, const float *x, float *y);
  /* Passes each gradient to the first of its four positions that holds the maximum; the others get
   * 0. */
  void (*max_pool2_gradient_f32)(size_t height, size_t width, const float *x, const float *slope,
                                 float *dx);
} swl_training_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_training_kernel_count(void);
const swl_training_kernel *swl_training_kernel_at(size_t index);
