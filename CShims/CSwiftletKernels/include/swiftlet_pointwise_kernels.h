/* Layers of a channels-last runtime that work element by element or pixel by pixel, and the way in
 * and out of channels-last.
 *
 * Nothing is aligned. Results may take the place of an operand, but not overlap one partly. Unless
 * said otherwise all variants agree bit for bit; NaN stays NaN. */
#pragma once
#include "swiftlet_kernels.h"

/* v = (float)(a - zero_a) * scale_a + (float)(b - zero_b) * scale_b, each operation rounded, where
 * the scales are divided by the result's; q = roundTiesToEven(v) + zero_y, held to low ... high. */
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

typedef struct {
  const char *name;
  swl_isa isa;

  /* y = min(high, max(low, a + b)), or a * b. */
  void (*add_f32)(size_t count, const float *a, const float *b, float low, float high, float *y);
  void (*mul_f32)(size_t count, const float *a, const float *b, float low, float high, float *y);
  /* The same for rows of channels, strides in bytes; b has one element a channel. */
  void (*add_channels_f32)(size_t rows, size_t channels, const float *a, ptrdiff_t stride_a,
                           const float *b, float low, float high, float *y, ptrdiff_t stride_y);
  void (*mul_channels_f32)(size_t rows, size_t channels, const float *a, ptrdiff_t stride_a,
                           const float *b, float low, float high, float *y, ptrdiff_t stride_y);
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
  void (*planes_to_pixels_u8)(const swl_planes *, float scale, int32_t zero_point,
                              const float *planes, void *pixels, size_t first_row,
                              size_t last_row);
  void (*pixels_u8_to_planes)(const swl_planes *, float scale, int32_t zero_point,
                              const void *pixels, float *planes, size_t first_row,
                              size_t last_row);
} swl_pointwise_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_pointwise_kernel_count(void);
const swl_pointwise_kernel *swl_pointwise_kernel_at(size_t index);
