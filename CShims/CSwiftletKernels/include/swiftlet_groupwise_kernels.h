/* SPDX-License-Identifier: Apache-2.0 */

/* Products of rows of fp32 or u8 with matrices of 4-bit codes that share a scale and a zero
 * point by groups of the depth:
 *     out[m][n] = clamp(bias[n] + sum over groups g of scale[g][n] .
 *                       (sum over k in g of (in[m][k] - in_zero) . (code[k][n] - zero[g][n])), low,
 *                       high)
 * in fp32, where in_zero is 0 for fp32 rows. Codes stay packed in memory and are decoded in
 * registers; a code minus its zero point is exact, and so are the sums of a group of u8 rows, in
 * int32. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "swiftlet_isa.h"

/* The types of the rows and of the codes. */
typedef enum { SWL_GROUPWISE_F32U4, SWL_GROUPWISE_U8U4 } swl_groupwise_type;

typedef struct {
  /* Terms of a sum, terms of a group (the last group may be shorter), and columns. */
  size_t depth, group, columns;
  /* From swl_groupwise_pack; the bias is padded to whole vectors. */
  const void *weights;
  const float *bias;
  float low, high;
  /* The zero point of all groups and columns if there is only one, else negative. */
  int zero;
} swl_groupwise;

/* The layout of codes, scales and zero points: the code of term k and column n is at
 * k . row + n . column, the scale and zero point of its group at group . row + n . column. */
typedef struct {
  /* A byte for each code, 0 ... 15. */
  const uint8_t *codes;
  size_t code_row, code_column;
  const float *scales;
  const uint8_t *zeros;
  size_t scale_row, scale_column;
  /* The zero point of u8 rows. */
  int32_t in_zero;
} swl_groupwise_source;

enum { SWL_GROUPWISE_MAX_ROWS = 12, SWL_GROUPWISE_MAX_VECTORS = 4 };

/* Some rows by some vectors of columns from `column` on. */
typedef void (*swl_groupwise_tile_fn)(const swl_groupwise *product, const uint8_t *const *in,
                                      const uint8_t *weights, size_t column, float *const *out);

typedef struct {
  const char *name;
  swl_isa isa;
  /* A CPU feature that the tier does not include; NULL if none is needed. */
  const char *feature;
  swl_groupwise_type type;
  /* Columns of a vector. */
  size_t lanes;
  /* For separate zero points and for a common one; by rows minus one, and by vectors: one, two,
   * four; NULL where the next smaller one is used. */
  swl_groupwise_tile_fn tiles[2][SWL_GROUPWISE_MAX_ROWS][3];
} swl_groupwise_kernel;

/* For each type, best first; the last one runs on every CPU. */
size_t swl_groupwise_kernel_count(void);
const swl_groupwise_kernel *swl_groupwise_kernel_at(size_t index);

size_t swl_groupwise_padded_columns(const swl_groupwise_kernel *kernel, size_t columns);

/* The size of the packed weights in bytes. */
size_t swl_groupwise_packed_size(const swl_groupwise_kernel *kernel, size_t depth, size_t group,
                                 size_t columns);

/* The group must be a multiple of 8, or the depth; with u8 rows it has at most 2^18 terms, so
 * that sums fit int32. */
void swl_groupwise_pack(const swl_groupwise_kernel *kernel, size_t depth, size_t group,
                        size_t columns, const swl_groupwise_source *source, void *packed);

/* The number of independent pieces of work of a call. */
size_t swl_groupwise_items(const swl_groupwise_kernel *kernel, const swl_groupwise *product,
                           size_t rows);

/* Computes the pieces from `first` up to but excluding `last`; row strides are in bytes. */
void swl_groupwise_run(const swl_groupwise_kernel *kernel, const swl_groupwise *product,
                       const void *in, ptrdiff_t in_step, void *out, ptrdiff_t out_step,
                       size_t rows, size_t first, size_t last);
