/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "groupwise.h"

static size_t ceiling(size_t count, size_t divisor) { return (count + divisor - 1) / divisor; }

size_t swl_groupwise_padded_columns(const swl_groupwise_kernel *kernel, size_t columns) {
  return ceiling(columns, kernel->lanes) * kernel->lanes;
}

size_t swl_groupwise_packed_size(const swl_groupwise_kernel *kernel, size_t depth, size_t group,
                                 size_t columns) {
  return ceiling(columns, kernel->lanes) *
         swl_groupwise_stream_size(kernel->type, kernel->lanes, depth, group);
}

static uint32_t code_at(const swl_groupwise_source *source, size_t term, size_t n) {
  return source->codes[term * source->code_row + n * source->code_column] & 15;
}

/* The codes of up to eight terms of a column. */
static uint32_t word_of(const swl_groupwise_source *source, swl_groupwise_type type, size_t term,
                        size_t count, size_t n, uint32_t zero) {
  uint32_t word = 0;
  for (size_t i = 0; i < SWL_CODES_PER_WORD; i++) {
    const size_t place = type == SWL_GROUPWISE_F32U4 ? i : i < 4 ? 2 * i : 2 * (i - 4) + 1;
    word |= (i < count ? code_at(source, term + i, n) : zero & 15) << 4 * place;
  }
  return word;
}

/* The negated contribution of the zero point of u8 rows to the sum of a group. */
static int32_t offset_of(const swl_groupwise_source *source, size_t start, size_t end, size_t n,
                         int32_t zero) {
  int32_t sum = 0;
  for (size_t k = start; k < end; k++) sum += (int32_t)code_at(source, k, n) - zero;
  return -source->in_zero * sum;
}

void swl_groupwise_pack(const swl_groupwise_kernel *kernel, size_t depth, size_t group,
                        size_t columns, const swl_groupwise_source *source, void *packed) {
  const size_t lanes = kernel->lanes;
  uint8_t *target = packed;
  for (size_t first = 0; first < columns; first += lanes) {
    const size_t own = columns - first < lanes ? columns - first : lanes;
    for (size_t start = 0; start < depth; start += group) {
      const size_t end = depth - start < group ? depth : start + group;
      memset(target, 0, swl_groupwise_group_size(kernel->type, lanes, end - start));
      for (size_t i = 0; i < own; i++) {
        const size_t at = start / group * source->scale_row + (first + i) * source->scale_column;
        memcpy(target + 4 * i, &source->scales[at], 4);
        target[4 * lanes + i] = source->zeros[at];
        if (kernel->type == SWL_GROUPWISE_U8U4) {
          const int32_t offset = offset_of(source, start, end, first + i, source->zeros[at]);
          memcpy(target + 5 * lanes + 4 * i, &offset, 4);
        }
      }
      const uint8_t *zeros = target + 4 * lanes;
      target += swl_groupwise_head_size(kernel->type, lanes);
      for (size_t k = start; k < end; k += SWL_CODES_PER_WORD) {
        const size_t count = end - k < SWL_CODES_PER_WORD ? end - k : SWL_CODES_PER_WORD;
        for (size_t i = 0; i < own; i++) {
          const uint32_t word = word_of(source, kernel->type, k, count, first + i, zeros[i]);
          memcpy(target + 4 * i, &word, 4);
        }
        target += 4 * lanes;
      }
    }
  }
}

/* Vectors of columns per piece. Its weights stay in the cache while rows are processed. */
enum { BLOCK = SWL_GROUPWISE_MAX_VECTORS };

static size_t blocks(const swl_groupwise_kernel *kernel, const swl_groupwise *product) {
  return ceiling(product->columns, BLOCK * kernel->lanes);
}

static size_t row_tiles(size_t rows) { return ceiling(rows, SWL_GROUPWISE_MAX_ROWS); }

size_t swl_groupwise_items(const swl_groupwise_kernel *kernel, const swl_groupwise *product,
                           size_t rows) {
  return blocks(kernel, product) * row_tiles(rows);
}

/* All columns of a block for some rows, with the largest available tiles. */
static void run_rows(const swl_groupwise_kernel *kernel, const swl_groupwise *product,
                     const uint8_t *const *in, float *const *out, size_t rows, size_t first,
                     size_t last) {
  const size_t stream =
      swl_groupwise_stream_size(kernel->type, kernel->lanes, product->depth, product->group);
  const swl_groupwise_tile_fn(*tiles)[3] = kernel->tiles[product->zero >= 0];
  while (rows > 0) {
    size_t count = rows;
    while (tiles[count - 1][0] == NULL) count--;
    for (size_t vector = first; vector < last;) {
      int size = last - vector >= 4 ? 2 : last - vector >= 2 ? 1 : 0;
      while (tiles[count - 1][size] == NULL) size--;
      tiles[count - 1][size](product, in, (const uint8_t *)product->weights + vector * stream,
                             vector * kernel->lanes, out);
      vector += (size_t)1 << size;
    }
    in += count, out += count, rows -= count;
  }
}

void swl_groupwise_run(const swl_groupwise_kernel *kernel, const swl_groupwise *product,
                       const void *in, ptrdiff_t in_step, void *out, ptrdiff_t out_step,
                       size_t rows, size_t first, size_t last) {
  const size_t tiles = row_tiles(rows), vectors = ceiling(product->columns, kernel->lanes);
  for (size_t item = first; item < last; item++) {
    const size_t block = item / tiles, tile = item % tiles;
    const size_t start = rows * tile / tiles, end = rows * (tile + 1) / tiles;
    const uint8_t *sources[SWL_GROUPWISE_MAX_ROWS];
    float *targets[SWL_GROUPWISE_MAX_ROWS];
    for (size_t row = start; row < end; row++) {
      sources[row - start] = (const uint8_t *)in + (ptrdiff_t)row * in_step;
      targets[row - start] = (float *)((uint8_t *)out + (ptrdiff_t)row * out_step);
    }
    const size_t from = block * BLOCK, to = from + BLOCK < vectors ? from + BLOCK : vectors;
    run_rows(kernel, product, sources, targets, end - start, from, to);
  }
}
