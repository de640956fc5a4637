/* SPDX-License-Identifier: Apache-2.0 */

/* Windows that slide over channels-last images: depthwise convolution and pooling.
 *
 * A pixel's channels are contiguous; everything else is a stride in bytes, so that an image may
 * lie inside a larger buffer. Pointers need no alignment. Results must not overlap inputs.
 *
 * A call computes the output rows first_row ..< last_row. It prepares the weights of a block of
 * channels once, so a call should have several rows. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"

/* A window that stays inside readable memory: the caller has put a halo around the image. */
typedef struct {
  size_t channels, out_width, out_height, kernel_width, kernel_height;
  ptrdiff_t in_x, in_y;   /* between the windows of consecutive outputs, including the stride */
  ptrdiff_t tap_x, tap_y; /* between consecutive taps of a window, including the dilation */
  ptrdiff_t out_x, out_y; /* between neighbouring outputs */
} swl_window;

/* y = min(high, max(low, bias[c] + sum of x * weights)), taps in row-major order; NaN stays. */
typedef struct {
  const float *weights; /* [kernel_height][kernel_width][channels] */
  const float *bias;    /* [channels] */
  float low, high;
} swl_depthwise_f32;

/* acc = bias[c] + sum of x * weights, exact in int32 (the bias includes the contribution of the
 * zero point of x); v = max(low, min(high, (float)acc * scale[c])), and q = roundTiesToEven(v) +
 * zero_point. For u8 low and high are integers in 0 - zero_point ... 255 - zero_point. */
typedef struct {
  const int8_t *weights; /* [kernel_height][kernel_width][channels] */
  const int32_t *bias;   /* [channels] */
  const float *scale;    /* [channels] */
  float low, high;
  int32_t zero_point;
} swl_depthwise_u8;

/* A window that may extend beyond the image: taps outside are skipped. */
typedef struct {
  size_t channels, in_width, in_height, out_width, out_height;
  size_t kernel_width, kernel_height, stride_x, stride_y, dilation_x, dilation_y;
  size_t pad_left, pad_right, pad_top, pad_bottom;
  ptrdiff_t in_x, in_y;   /* between neighbouring pixels, rows */
  ptrdiff_t out_x, out_y; /* between neighbouring outputs, rows */
} swl_pool;

/* n: the number of taps inside the image, or with include_pad inside the image and its padding.
 * v = (float)(sum of (x - zero_in) inside the image) * (scale_in / (scale_out * (float)n));
 * q = saturate(roundTiesToEven(v) + zero_out). */
typedef struct {
  float scale_in, scale_out;
  int32_t zero_in, zero_out;
  bool include_pad;
} swl_average_u8;

/* The integer results of all kernels, and those of fp32 pooling, agree bit for bit. */
typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  /* in: the first tap of output (0, 0); out: output (0, 0). */
  void (*depthwise_f32)(const swl_window *, const swl_depthwise_f32 *, const void *in, void *out,
                        size_t first_row, size_t last_row);
  /* From bf16 to bf16, weights and sums in fp32. */
  void (*depthwise_bf16)(const swl_window *, const swl_depthwise_f32 *, const void *in, void *out,
                         size_t first_row, size_t last_row);
  void (*depthwise_u8)(const swl_window *, const swl_depthwise_u8 *, const void *in, void *out,
                       size_t first_row, size_t last_row);
  /* The result is v. */
  void (*depthwise_u8_f32)(const swl_window *, const swl_depthwise_u8 *, const void *in, void *out,
                           size_t first_row, size_t last_row);
  /* in: pixel (0, 0) of the image; out: output (0, 0).
   * The largest value, NaN if there is one; without taps inside, the lowest value of the type. */
  void (*max_pool_f32)(const swl_pool *, const void *in, void *out, size_t first_row,
                       size_t last_row);
  void (*max_pool_bf16)(const swl_pool *, const void *in, void *out, size_t first_row,
                        size_t last_row);
  void (*max_pool_u8)(const swl_pool *, const void *in, void *out, size_t first_row,
                      size_t last_row);
  /* The sum of the sums of the window's rows, divided by n; 0 if n is 0. */
  void (*average_pool_f32)(const swl_pool *, bool include_pad, const void *in, void *out,
                           size_t first_row, size_t last_row);
  /* From bf16 to fp32. */
  void (*average_pool_bf16_f32)(const swl_pool *, bool include_pad, const void *in, void *out,
                                size_t first_row, size_t last_row);
  void (*average_pool_u8)(const swl_pool *, const swl_average_u8 *, const void *in, void *out,
                          size_t first_row, size_t last_row);
} swl_window_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_window_kernel_count(void);
const swl_window_kernel *swl_window_kernel_at(size_t index);
