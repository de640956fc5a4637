/* SPDX-License-Identifier: Apache-2.0 */

/* Layers of a channels-last runtime that work element by element or pixel by pixel, and
 * conversion to and from channels-last.
 *
 * Pointers need no alignment. Results may overwrite an operand, but not overlap one partially.
 * Unless stated otherwise all kernels agree bit for bit; NaN stays NaN. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"

/* v = (float)(a - zero_a) * scale_a + (float)(b - zero_b) * scale_b, each operation rounded,
 * where the scales are divided by the result's; q = roundTiesToEven(v) + zero_y, clamped to low
 * ... high. */
typedef struct {
  float scale_a, scale_b;
  int32_t zero_a, zero_b, zero_y;
  int32_t low, high; /* in 0 ... 255 */
} swl_add_u8;

/* v = (float)((a - zero_a) * (b - zero_b)) * scale, and q as above. */
typedef struct {
  float scale; /* scale_a * scale_b / scale_y */
  int32_t zero_a, zero_b, zero_y;
  int32_t low, high; /* in 0 ... 255 */
} swl_mul_u8;

/* One image as planes (channel by channel, rows without gaps) and as pixels (channels-last). */
typedef struct {
  size_t channels, width, height;
  ptrdiff_t plane; /* bytes between planes of fp32 */
  ptrdiff_t x, y;  /* bytes between pixels and rows of the channels-last side */
} swl_planes;

/* y = f(x). Those marked with = agree bit for bit; the others may differ between tiers in the last
 * places, and are within 4 units in the last place (of a number that is at least 2^-116), or within
 * the stated bound. Limits at the infinities are exact, where -infinity * 0 is -0. */
typedef enum {
  SWL_CLIP,        /* = min(beta, max(alpha, x)) */
  SWL_SIGMOID,     /* 1 / (1 + exp(-x)) */
  SWL_TANH,
  SWL_SILU,        /* x * sigmoid(x) */
  SWL_HARDSIGMOID, /* = max(0, min(1, alpha * x + beta)) */
  SWL_HARDSWISH,   /* = x * max(0, min(1, x / 6 + 1/2)), with the product x * (1/6) */
  SWL_GELU,        /* x / 2 * (1 + erf(x / sqrt(2))): 8 ulp, or for x < -1 a relative error below
                    * 2^-21 * (1 + x * x) */
  SWL_GELU_TANH,   /* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))): 8 ulp, or for x < -1 a
                    * relative error below 2^-21 * (1 + |x|^3) */
  SWL_ERF,
  SWL_EXP,
  SWL_LEAKY_RELU,  /* = x < 0 ? alpha * x : x */
  SWL_ELU,         /* x > 0 ? x : alpha * (exp(x) - 1) */
  SWL_SOFTPLUS,    /* log(1 + exp(x)) */
  SWL_MISH,        /* x * tanh(softplus(x)): 8 ulp */
} swl_activation;

/* f(a, b); the larger and the smaller of NaN and a number is NaN. */
typedef enum {
  SWL_ADD,
  SWL_SUBTRACT,
  SWL_MULTIPLY,
  SWL_DIVIDE,
  SWL_LARGER,
  SWL_SMALLER
} swl_binary;

typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;

  /* y = min(high, max(low, f(a, b))) of rows of channels, strides in bytes. A side that repeats has
   * one number per row. */
  void (*binary_f32)(swl_binary, size_t rows, size_t channels, const float *a, ptrdiff_t stride_a,
                     bool repeats_a, const float *b, ptrdiff_t stride_b, bool repeats_b, float low,
                     float high, float *y, ptrdiff_t stride_y);
  void (*add_u8)(size_t count, const uint8_t *a, const uint8_t *b, const swl_add_u8 *, uint8_t *y);
  void (*mul_u8)(size_t count, const uint8_t *a, const uint8_t *b, const swl_mul_u8 *, uint8_t *y);
  void (*mul_channels_u8)(size_t rows, size_t channels, const uint8_t *a, ptrdiff_t stride_a,
                          const uint8_t *b, const swl_mul_u8 *, uint8_t *y, ptrdiff_t stride_y);

  /* Rows first_row ..< last_row of an image. Quantized: q = saturate(roundTiesToEven(x / scale) +
   * zero_point), NaN gives zero_point; back: x = (float)(q - zero_point) * scale. */
  void (*planes_to_pixels_f32)(const swl_planes *, const float *planes, void *pixels,
                               size_t first_row, size_t last_row);
  void (*pixels_to_planes_f32)(const swl_planes *, const void *pixels, float *planes,
                               size_t first_row, size_t last_row);
  void (*planes_to_pixels_f32_u8)(const swl_planes *, float scale, int32_t zero_point,
                                  const float *planes, void *pixels, size_t first_row,
                                  size_t last_row);
  void (*pixels_to_planes_u8_f32)(const swl_planes *, float scale, int32_t zero_point,
                                  const void *pixels, float *planes, size_t first_row,
                                  size_t last_row);

  /* bf16, rounded as in lanes/bf16.h: y = min(high, max(low, a + b)), each operation in fp32;
   * rows of channels, strides in bytes, with a zero stored after an odd number of channels to fill
   * the two-channel word; and images as above, with that zero. */
  void (*add_bf16)(size_t count, const uint16_t *a, const uint16_t *b, float low, float high,
                   uint16_t *y);
  void (*f32_to_bf16)(size_t rows, size_t channels, const float *x, ptrdiff_t stride_x, uint16_t *y,
                      ptrdiff_t stride_y);
  void (*bf16_to_f32)(size_t rows, size_t channels, const uint16_t *x, ptrdiff_t stride_x, float *y,
                      ptrdiff_t stride_y);
  void (*planes_to_pixels_f32_bf16)(const swl_planes *, const float *planes, void *pixels,
                                    size_t first_row, size_t last_row);

  void (*activate_f32)(swl_activation, size_t count, const float *x, float alpha, float beta,
                       float *y);
  /* y[i] = table[x[i]]. */
  void (*lookup_u8)(size_t count, const uint8_t *x, const uint8_t table[256], uint8_t *y);

  /* For each row of channels, strides in bytes; tiers may differ in the last places.
   * exp(x - max) / sum: within 8 ulp. A row with NaN or +infinity becomes NaN. */
  void (*softmax_f32)(size_t rows, size_t channels, const float *x, ptrdiff_t stride_x, float *y,
                      ptrdiff_t stride_y);
  /* d / sqrt(mean(d * d) + epsilon) * gamma + beta with d = x - mean(x), the means and the
   * difference in fp64. beta may be NULL. */
  void (*layer_norm_f32)(size_t rows, size_t channels, const float *x, ptrdiff_t stride_x,
                         const float *gamma, const float *beta, float epsilon, float *y,
                         ptrdiff_t stride_y);
} swl_pointwise_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_pointwise_kernel_count(void);
const swl_pointwise_kernel *swl_pointwise_kernel_at(size_t index);
