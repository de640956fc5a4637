/* SPDX-License-Identifier: Apache-2.0 */

/* Products of channels-last images with packed weights: convolutions, fully connected layers and
 * matrix products are all of this form.
 *
 * For an output pixel p and column n
 *     out[p][n] = finish(sum over s, k of in[p][segment s][word k] . weights[s][k][n]).
 * The depth of the sum is divided into outer x inner segments of contiguous words. A word has four
 * bytes: one fp32, two bf16, or four u8 against four s8. Nothing is copied: overlapping windows are
 * read in place (implicit im2col). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"

/* The types of the factors: fp32 by fp32 in fp32; bf16 by bf16 in fp32, where numbers below
 * 2^-126 may count as zero; u8 by s8, exact in int32; the same, exact only for weights in
 * -64...64. */
typedef enum {
  SWL_PRODUCT_F32,
  SWL_PRODUCT_BF16,
  SWL_PRODUCT_U8S8,
  SWL_PRODUCT_U8S7
} swl_product_type;

typedef struct {
  /* Outputs per image, and the strides in bytes between consecutive outputs. */
  size_t width, height;
  ptrdiff_t in_x, in_y, in_image;
  ptrdiff_t out_x, out_y, out_image;
  ptrdiff_t addend_x, addend_y, addend_image;
  /* Segments of the depth: counts, words in each, bytes from one to the next. */
  size_t outer, inner, words;
  ptrdiff_t outer_step, inner_step;
  /* Columns of the result, and the number of weight panels kept in the cache at a time. */
  size_t columns, block;
  /* From swl_product_pack; bias (fp32, or int32 for integers) and scale are padded to whole
   * panels. */
  const void *weights, *bias;
  /* fp32 and bf16: clamp(sum + bias + addend, low, high).
   * Integers: clamp((sum + bias) . scale[n], low, high); then, for bytes,
   * roundTiesToEven(that) + zero_point, where the limits are whole numbers that keep it within
   * 0...255. */
  const float *scale;
  float low, high;
  int32_t zero_point;
  bool to_bytes;
  /* A result is the largest of 2 x 2 neighbouring windows: width and height count results, in_x
   * and in_y are strides between windows. All operations after a sum are monotonic, so they are
   * applied once. An addend is not supported. */
  bool pooled;
  /* With bf16: whether results are rounded to bf16 (lanes/bf16.h), and addends are bf16. */
  bool to_bf16, addend_bf16;
} swl_product;

/* One tile: up to `rows` output pixels by one panel from `column` on. Rows are addressed one by
 * one; entries past `count` repeat the last and are not stored. Pooled, four rows make one
 * pixel. */
typedef void (*swl_tile_fn)(const swl_product *product, const uint8_t *const *in,
                            const uint8_t *panel, size_t column, size_t count, uint8_t *const *out,
                            const uint8_t *const *addend);

enum { SWL_TILE_MAX_ROWS = 14, SWL_TILE_MAX_POOLED = 3 };

typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  swl_product_type type;
  /* Columns of a vector; a panel is two vectors wide, the last one may be one vector. */
  size_t lanes;
  /* Most rows of a tile. */
  size_t rows;
  /* By number of vectors minus one, and of rows minus one. */
  swl_tile_fn tiles[2][SWL_TILE_MAX_ROWS];
  /* Most pixels of a pooled tile, and such tiles by number of vectors and of pixels minus one. */
  size_t pooled;
  swl_tile_fn pooled_tiles[2][SWL_TILE_MAX_POOLED];
} swl_product_kernel;

/* Best first; the last of each type runs everywhere. */
size_t swl_product_kernel_count(void);
const swl_product_kernel *swl_product_kernel_at(size_t index);

/* Columns after padding to whole vectors: the length of bias and scale; times the number of
 * words in all segments, the length of the packed weights. */
size_t swl_product_padded_columns(const swl_product_kernel *kernel, size_t columns);

/* Packs weights panel by panel. Element e of column n is source[n . column_step + offsets[e]], or
 * zero where the offset is negative; there are four (bytes), two (bf16) or one (fp32) elements per
 * word. bf16 weights are given as fp32, and rounded. */
void swl_product_pack(const swl_product_kernel *kernel, size_t words, size_t columns,
                      const void *source, size_t column_step, const int32_t *offsets,
                      void *packed);

/* The number of independent pieces of work of a call. */
size_t swl_product_items(const swl_product_kernel *kernel, const swl_product *product,
                         size_t images);

/* Computes the pieces from `first` up to but excluding `last`. The addend may be NULL; integers
 * ignore it. */
void swl_product_run(const swl_product_kernel *kernel, const swl_product *product, const void *in,
                     const void *addend, void *out, size_t images, size_t first, size_t last);
