/* SPDX-License-Identifier: Apache-2.0 */

/* Convolutions with 3x3 windows, stride 1, by Winograd's minimal filtering F(m x m, 3 x 3), m =
 * 2 or 4: tiles of m x m results cost (m+2)^2 instead of 9 m^2 products for each pair of
 * channels.
 *
 * Each tile becomes (m+2)^2 coefficients; for each of them, all tiles' channels times the
 * coefficient's weights is a matrix product; the products become tiles of results. A
 * coefficient's matrix has a row of channels for each tile, `pitch` bytes apart, and follows the
 * last one after `plane` bytes.
 *
 * Source: Lavin and Gray 2016. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "swiftlet_isa.h"

typedef struct {
  size_t m;
  size_t channels;
  /* Tiles of an image, and the bytes between pixels, rows and images. */
  size_t tiles_x, tiles_y;
  ptrdiff_t x, y, image;
  ptrdiff_t pitch, plane;
} swl_winograd;

/* The final step: y = min(high, max(low, sum + bias[c] + addend)); only those inside
 * width x height are stored. The addend may be NULL. Pooled, a result is the largest of 2 x 2 sums,
 * width, height and the output strides count pooled results, and there is no addend. */
typedef struct {
  bool pooled;
  size_t width, height;
  const float *bias;
  const void *addend;
  ptrdiff_t addend_x, addend_y, addend_image;
  float low, high;
} swl_winograd_ending;

typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  /* Coefficients of the tiles first ..< last, numbered across all images. `in` is the first tap of
   * tile 0; every tap of every tile can be read. */
  void (*analyze_f32)(const swl_winograd *, const void *in, void *coefficients, size_t first,
                      size_t last);
  /* Results from coefficients; `out` and the addend are those of pixel (0, 0) of image 0. */
  void (*synthesize_f32)(const swl_winograd *, const swl_winograd_ending *,
                         const void *coefficients, void *out, size_t first, size_t last);
  /* Coefficients of weights: from pairs (of result and image channels) x 3 x 3 to (m+2)^2 matrices
   * of pairs; of the pairs first ..< last. All kernels agree bit for bit. */
  void (*analyze_weights_f32)(size_t m, size_t pairs, size_t first, size_t last,
                              const float *weights, float *coefficients);
} swl_winograd_kernel;

/* The kernels of the family, best first; the last one runs on every CPU. */
size_t swl_winograd_kernel_count(void);
const swl_winograd_kernel *swl_winograd_kernel_at(size_t index);
